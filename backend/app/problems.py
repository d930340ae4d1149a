"""Refusals as RFC 9457 problems: the one format of every answer that says no.

Source: RFC 9457, "Problem Details for HTTP APIs".
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from backend.app.errors import StrongroomError

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
# Under this name a request's state holds the code of the problem it was answered with.
PROBLEM_CODE: Final = "problem_code"
_KEPT_HEADERS: Final = ("retry-after", "www-authenticate")
_TYPE_PREFIX: Final = "urn:strongroom:problem:"


class _Problem(JSONResponse):
    """An answer that says no, and leaves its code for the log line of the request."""

    media_type = PROBLEM_MEDIA_TYPE

    def __init__(self, code: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(body, status_code=body["status"], headers=headers)
        self._code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[PROBLEM_CODE] = self._code
        await super().__call__(scope, receive, send)


def problem(
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    request_id: str,
    at: datetime,
    facts: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return one problem as an answer that no cache keeps."""
    body = {
        **_members(status, code, title, detail),
        "request_id": request_id,
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **(facts or {}),
    }
    return _Problem(code, body, {"Cache-Control": "no-store", **(headers or {})})


def members_of(refusal: StrongroomError) -> dict[str, Any]:
    """Return what a refusal says of itself: a problem, but for the request it answers."""
    told = _members(refusal.status, refusal.slug, refusal.title, refusal.detail)
    return {**told, **refusal.facts}


def refusal_problem(refusal: StrongroomError, request_id: str, at: datetime) -> JSONResponse:
    """Return a refusal as the problem it is."""
    headers = {}
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(
        status=refusal.status,
        code=refusal.slug,
        title=refusal.title,
        detail=refusal.detail,
        request_id=request_id,
        at=at,
        facts=refusal.facts,
        headers=headers,
    )


def older_problem(
    status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a refusal in the older card API's form, with what its problem's headers say."""
    kept = {name: (headers or {})[name] for name in _KEPT_HEADERS if name in (headers or {})}
    return JSONResponse(
        {"code": f"{status.value}000", "message": message},
        status_code=status,
        headers={"Cache-Control": "no-store", **kept},
    )


def internal_problem(request_id: str, at: datetime) -> JSONResponse:
    """Return what a defect is answered with: its request's name, and nothing of its text."""
    return refusal_problem(
        StrongroomError("An unexpected error. Quote the request id when you report it."),
        request_id,
        at,
    )


def _members(status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    return {
        "type": _TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
    }
