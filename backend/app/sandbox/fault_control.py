"""`/control/faults`: setting, showing and clearing the fault deck, from this machine only."""

from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from backend.app.sandbox.control import forbidden, is_local
from backend.app.sandbox.fault_deck import Deck, FaultDeck

DECK_MAX_BYTES: Final = 64 * 1024


class FaultControl:
    """The endpoint of the fault deck."""

    def __init__(self, deck: FaultDeck) -> None:
        self._deck = deck

    async def serve(self, request: Request) -> Response:
        """Set (POST), show (GET) or clear (DELETE) the deck."""
        if not is_local(request):
            return forbidden()
        if request.method == "DELETE":
            self._deck.clear()
            return Response(status_code=HTTPStatus.NO_CONTENT)
        if request.method == "POST":
            try:
                self._deck.set(Deck.model_validate_json(await _body(request)))
            except ValidationError as wrong:
                return JSONResponse({"errors": _told(wrong)}, HTTPStatus.UNPROCESSABLE_ENTITY)
        return JSONResponse(self._deck.shown(), headers={"cache-control": "no-store"})


async def _body(request: Request) -> bytes:
    """Return the body; one that is too long or breaks off is no deck, and is read as none."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > DECK_MAX_BYTES:
                return b""
    except ClientDisconnect:
        return b""
    return bytes(body)


def _told(wrong: ValidationError) -> list[dict[str, Any]]:
    """Name each field and what is wrong with it; what was sent is not repeated."""
    return [
        {"field": ".".join(str(part) for part in error["loc"]), "error": error["msg"]}
        for error in wrong.errors(include_url=False, include_input=False, include_context=False)
    ]
