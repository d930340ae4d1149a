"""Where refusals, bad input and unknown paths become problems, and nowhere else."""

import re
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from backend.app.clock import Clock
from backend.app.errors import StrongroomError, Unprocessable
from backend.app.problems import PROBLEM_MEDIA_TYPE, older_problem, problem, refusal_problem
from backend.app.schemas.older_card_schemas import OlderError

_ERRORS_MAX: Final = 20
_NO_SUCH_METHOD: Final = HTTPStatus.METHOD_NOT_ALLOWED
# A member's name is the caller's text too: only a plain name is repeated.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,29}")
# Messages of these kinds may quote what was sent.
_QUOTING_KINDS: Final = frozenset({"value_error", "assertion_error"})
OLDER_PREFIX: Final = "/apis/v1"
_SCHEMAS: Final = "#/components/schemas/"
_OLDER_CONTENT: Final = {"application/json": {"schema": {"$ref": f"{_SCHEMAS}OlderError"}}}
_PROBLEM_CONTENT: Final = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}ProblemBody"}}}


class FieldProblem(BaseModel):
    """Where in a request something cannot be used, and why; never what was sent."""

    loc: list[str]
    type: str
    msg: str


class ProblemBody(BaseModel):
    """The form of every refusal (RFC 9457). Some carry further members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    timestamp: datetime
    errors: list[FieldProblem] = Field(default=[], description="Set when a field is to blame")


def refusals(*kinds: type[StrongroomError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may give these refusals."""
    titles: dict[int, list[str]] = {}
    for kind in kinds:
        titles.setdefault(kind.status, []).append(f"{kind.title} (`{kind.slug}`)")
    return {
        status: {
            "description": "; ".join(lines),
            "content": _PROBLEM_CONTENT,
        }
        for status, lines in titles.items()
    }


def install_problem_handlers(app: FastAPI, clock: Clock) -> None:
    """Teach an app to answer every refusal in the one format."""

    async def on_refusal(request: HTTPConnection, refusal: StrongroomError) -> Response:
        answer = _refused(request, refusal, clock())
        if isinstance(request, WebSocket):
            # Refused before it was accepted; what a handler returns is sent for HTTP only.
            await request.send_denial_response(answer)
        return answer

    async def on_bad_input(request: Request, refused: RequestValidationError) -> Response:
        return _refused(request, _bad_input(refused.errors()), clock())

    async def on_http(request: Request, refused: HTTPException) -> Response:
        status = HTTPStatus(refused.status_code)
        if _is_older(request):
            return older_problem(status, status.description or status.phrase)
        return problem(
            status=status,
            code=status.phrase.lower().replace(" ", "-"),
            title=status.phrase,
            detail=status.description or status.phrase,
            request_id=_request_id(request),
            at=clock(),
            headers=_allowing(request) if status == _NO_SUCH_METHOD else refused.headers,
        )

    # Starlette's annotation knows only handlers of any exception.
    app.add_exception_handler(StrongroomError, on_refusal)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, on_bad_input)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, on_http)  # type: ignore[arg-type]
    _document_problems(app)


def _refused(request: HTTPConnection, refusal: StrongroomError, at: datetime) -> Response:
    answer = refusal_problem(refusal, _request_id(request), at)
    if not _is_older(request):
        return answer
    # The older API knew one way to say that what was sent cannot be used.
    status = HTTPStatus(
        400 if refusal.status == HTTPStatus.UNPROCESSABLE_ENTITY else refusal.status
    )
    return older_problem(status, _in_a_line(refusal), answer.headers)


def _in_a_line(refusal: StrongroomError) -> str:
    # The older form has nothing but its message to say in which field it is, and why.
    errors: Any = refusal.facts.get("errors", ())
    return "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in errors) or refusal.detail


def _is_older(request: HTTPConnection) -> bool:
    return str(request.scope["path"]).startswith(OLDER_PREFIX + "/")


def _document_problems(app: FastAPI) -> None:
    """Let the documentation say of every refusal what is true: that it is a problem."""
    undocumented = app.openapi

    def documented() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = undocumented()
            _describe_problems(described)
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = documented  # type: ignore[method-assign]


def _describe_problems(described: dict[str, Any]) -> None:
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    # FastAPI's own form of bad input, which this house never answers with.
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["ProblemBody"] = ProblemBody.model_json_schema(ref_template=_SCHEMAS + "{model}")
    schemas |= schemas["ProblemBody"].pop("$defs")
    schemas["OlderError"] = OlderError.model_json_schema()
    for path, operations in described["paths"].items():
        for operation in operations.values():
            answers = operation["responses"]
            if path.startswith(OLDER_PREFIX):
                answers.pop("422", None)
                answers["default"] = {"description": "Any refusal", "content": _OLDER_CONTENT}
                continue
            if "422" in answers:
                answers["422"]["content"] = _PROBLEM_CONTENT
            answers["default"] = {"description": "Any other refusal", "content": _PROBLEM_CONTENT}


def _request_id(request: HTTPConnection) -> str:
    return str(getattr(request.state, "request_id", "-"))


def _allowing(request: Request) -> dict[str, str]:
    # Starlette names the methods of the first route on the path; the header is for all of them.
    # Source: RFC 9110, section 10.2.1.
    allowed: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(request.scope["path"]):
            allowed |= route.methods or set()
    return {"Allow": ", ".join(sorted(allowed))}


def _bad_input(found: Sequence[Any]) -> Unprocessable:
    errors = [_one_error(error) for error in found[:_ERRORS_MAX]]
    named = sorted({error["loc"][-1] for error in errors if len(error["loc"]) > 1})
    return Unprocessable(
        f"Look at: {', '.join(named)}." if named else f"{errors[0]['msg']}.",
        facts={"errors": errors},
    )


def _one_error(error: dict[str, Any]) -> dict[str, Any]:
    kind = str(error["type"])
    message = "Value is not valid" if kind in _QUOTING_KINDS else str(error["msg"])
    # Malformed JSON is located by its offset, which names nothing.
    where = error["loc"][:1] if kind == "json_invalid" else error["loc"]
    return {"loc": [_shown(part) for part in where], "type": kind, "msg": message}


def _shown(part: object) -> str:
    text = str(part)
    if isinstance(part, int) or _PLAIN_NAME.fullmatch(text):
        return text
    return "(unnamed)"
