"""A settlement that misbehaves: what goes wrong, how often, and the door through which it is told.

Only where the world is rehearsed (`EXCHANGE_MODE=sandbox`), and only told by this machine.
"""

import asyncio
import random
from collections import Counter
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.app.sandbox.control import forbidden, is_local
from backend.app.schemas.settlement_schemas import REFUSAL_SCOPE_KEY

RULES_MAX: Final = 16
COUNT_MAX: Final = 1_000_000
LATENCY_MS_MAX: Final = 30_000
DECK_BYTES_MAX: Final = 16 * 1024
CONTROL_PATH: Final = "/control/faults"
_FAULTY_PATH: Final = "/api/settlement/withdraw"
_CERTAIN_PERCENT: Final = 100
_REFUSED: Final = "refused_by_bank"


class SettlementFault(StrEnum):
    """What can go wrong with a payout."""

    SLOW = "slow"
    """The answer comes `milliseconds` late."""
    FAILING = "failing"
    """503, and nothing was done."""
    REFUSED = "refused"
    """The bank will never pay it."""
    LOST_REPLY = "lost_reply"
    """It is done, and the connection breaks before that is said."""
    LOST_REQUEST = "lost_request"
    """The connection breaks, and nothing was done."""


class SettlementRule(BaseModel):
    """One line: what goes wrong, and how often."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    fault: SettlementFault
    percent: Annotated[int, Field(ge=1, le=_CERTAIN_PERCENT)] = _CERTAIN_PERCENT
    count: Annotated[int, Field(ge=1, le=COUNT_MAX)] | None = None
    milliseconds: Annotated[int, Field(ge=0, le=LATENCY_MS_MAX)] = 0


class SettlementDeck(BaseModel):
    """What is posted: a seed, and the rules in the order in which they are asked."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    seed: int = 0
    rules: Annotated[tuple[SettlementRule, ...], Field(max_length=RULES_MAX)] = ()


class SettlementFaultDeck:
    """The deck in play. Pure: the same payouts after the same deck meet the same faults."""

    def __init__(self) -> None:
        self.set(SettlementDeck())

    def set(self, deck: SettlementDeck) -> None:
        """Put a deck in play, and begin anew."""
        self._deck = deck
        self._dice = random.Random(deck.seed)  # noqa: S311 - rehearses, hides nothing
        self._struck: Counter[int] = Counter()

    def draw(self) -> SettlementRule | None:
        """Return what goes wrong with the next payout, if anything does."""
        for number, rule in enumerate(self._deck.rules):
            if rule.count is not None and self._struck[number] >= rule.count:
                continue
            if self._dice.randrange(_CERTAIN_PERCENT) < rule.percent:
                self._struck[number] += 1
                return rule
        return None

    def shown(self) -> dict[str, Any]:
        """Return the deck in play, and how often each rule has struck."""
        rules = [
            {**rule.model_dump(mode="json"), "struck": self._struck[number]}
            for number, rule in enumerate(self._deck.rules)
        ]
        return {"seed": self._deck.seed, "rules": rules}


class SettlementFaults:
    """In front of the settlement: its control, and the deck's faults."""

    def __init__(self, app: ASGIApp, deck: SettlementFaultDeck) -> None:
        self._app = app
        self._deck = deck

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the control, or one payout with what goes wrong with it."""
        path = scope.get("path")
        if scope["type"] == "http" and path == CONTROL_PATH:
            answer = await self._control(Request(scope, receive))
            await answer(scope, receive, send)
            return
        rule = None
        if scope["type"] == "http" and path == _FAULTY_PATH:
            rule = self._deck.draw()
        if rule is None:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(rule.milliseconds / 1_000)
        await self._strike(rule.fault, scope, receive, send)

    async def _strike(
        self, fault: SettlementFault, scope: Scope, receive: Receive, send: Send
    ) -> None:
        match fault:
            case SettlementFault.FAILING:
                answer = Response("Service Unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
                await answer(scope, receive, send)
            case SettlementFault.LOST_REQUEST:
                await _break_off(send)
            case SettlementFault.LOST_REPLY:
                await self._app(scope, receive, _into_the_void)
                await _break_off(send)
            case SettlementFault.REFUSED:
                await self._app({**scope, REFUSAL_SCOPE_KEY: _REFUSED}, receive, send)
            case SettlementFault.SLOW:
                await self._app(scope, receive, send)

    async def _control(self, request: Request) -> Response:
        if not is_local(request):
            return forbidden()
        if request.method == "DELETE":
            self._deck.set(SettlementDeck())
            return Response(status_code=HTTPStatus.NO_CONTENT)
        if request.method == "POST":
            try:
                self._deck.set(SettlementDeck.model_validate_json(await _body(request)))
            except ValidationError:
                return JSONResponse({"error": "No such deck."}, HTTPStatus.UNPROCESSABLE_ENTITY)
        return JSONResponse(self._deck.shown(), headers={"cache-control": "no-store"})


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > DECK_BYTES_MAX:
                return b""
    except ClientDisconnect:
        return b""
    return bytes(body)


async def _into_the_void(_: Message) -> None:
    return


async def _break_off(send: Send) -> None:
    """Begin an answer and never finish it: the server then closes the connection."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"', "more_body": True})
