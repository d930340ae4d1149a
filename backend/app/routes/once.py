"""Idempotency at the door: the key that comes in, and answers that go out as they were kept."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Header, Response

from backend.app.problems import PROBLEM_MEDIA_TYPE
from backend.app.services.idempotency.keyed import KEY_LENGTH_MAX, Answer, read_key

_JSON: Final = "application/json"


async def _key(
    idempotency_key: Annotated[
        str | None,
        Header(description=f"1 to {KEY_LENGTH_MAX} visible ASCII characters, a new one per act"),
    ] = None,
) -> str | None:
    return read_key(idempotency_key)


IdempotencyKey = Annotated[str | None, Depends(_key)]


def answered(answer: Answer) -> Response:
    """Return an answer byte for byte; a replayed one says that it is one."""
    is_problem = answer.status >= HTTPStatus.BAD_REQUEST
    return Response(
        answer.body,
        status_code=answer.status,
        media_type=PROBLEM_MEDIA_TYPE if is_problem else _JSON,
        headers={
            "Cache-Control": "no-store",
            **({"Idempotency-Replayed": "true"} if answer.is_replayed else {}),
        },
    )
