"""One exchange's door: what happens to a request once it has left the socket.

A request is judged in the exchange's order: is there such a path, who is the key, what has become
of it, may it come from there, is it signed right, may it do this. Only then is it answered.
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from backend.app.errors import Unavailable
from backend.app.exchanges.answers.base import (
    Answers,
    Call,
    Handler,
    OrderRefused,
    World,
    answer_of,
)
from backend.app.exchanges.answers.rendering import json_body
from backend.app.exchanges.dialects.base import Dialect
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.wire import Right, WireAnswer, WireRequest
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.not_found import not_found

PARAMETERS_MAX: Final = 100
_JSON: Final = {"content-type": "application/json;charset=utf-8"}
_FORM: Final = "application/x-www-form-urlencoded"


class Door:
    """One exchange, served from the shared world."""

    def __init__(
        self,
        dialect: Dialect,
        answers: Answers,
        world: World,
        accounts: Sequence[SeededAccount],
    ) -> None:
        self._dialect = dialect
        self._answers = answers
        self._world = world
        self._accounts = {account.keys.api_key: account for account in accounts}
        self._handlers = _Routes(answers.handlers())

    async def answer(
        self, request: WireRequest, caller_address: str, skew_ms: int = 0
    ) -> WireAnswer:
        """Answer one request as the exchange would, were its clock `skew_ms` ahead."""
        now_ms = self._world.now_ms() + skew_ms
        right = self._dialect.right_needed(request)
        if right is Right.UNLISTED:
            return not_found(self._dialect.exchange, request)
        account: SeededAccount | None = None
        if right is not Right.PUBLIC:
            found = self.judged(request, caller_address, right, now_ms)
            if isinstance(found, WireAnswer):
                return found
            account = found
        handler, names = self._handlers.find(request)
        if handler is None:
            return not_found(self._dialect.exchange, request)
        try:
            body = await answer_of(handler, self._call(request, account, names, skew_ms))
        except OrderRefused as refused:
            status, body = self._answers.render_order_refused(refused.rule)
            return WireAnswer(status, json_body(body), _JSON)
        except Unavailable:
            reason = Reason.EXCHANGE_UNAVAILABLE
            return self._dialect.render_refusal(reason, request, caller_address)
        return WireAnswer(200, json_body(body), _JSON)

    def judged(
        self, request: WireRequest, caller_address: str, right: Right, now_ms: int
    ) -> SeededAccount | WireAnswer:
        """Return whose request this is, or the answer of an exchange that turns it away."""
        account = self._accounts.get(self._dialect.api_key_in(request) or "")
        reason = self._refusal(request, account, caller_address, right, now_ms)
        if account is None or reason is not None:
            reason = reason or Reason.INVALID_KEY
            return self._dialect.render_refusal(reason, request, caller_address)
        return account

    def _refusal(
        self,
        request: WireRequest,
        account: SeededAccount | None,
        caller_address: str,
        right: Right,
        now_ms: int,
    ) -> Reason | None:
        if account is None:
            return Reason.INVALID_KEY
        reason = account.refusal_for(caller_address, now_ms)
        reason = reason or self._dialect.check(request, account.keys, now_ms)
        return reason or (None if account.may(right) else Reason.PERMISSION_MISSING)

    def _call(
        self,
        request: WireRequest,
        account: SeededAccount | None,
        names: Mapping[str, str],
        skew_ms: int,
    ) -> Call:
        is_form = request.headers.get("content-type", "").startswith(_FORM)
        return Call(
            request=request,
            world=cast("World", _ClockOff(self._world, skew_ms)) if skew_ms else self._world,
            account_id=account.account_id if account else "",
            api_key=account.keys.api_key if account else "",
            query=_parameters(request.query),
            form=_parameters(_text(request.body)) if is_form else {},
            json=None if is_form else _parsed(request.body),
            path=names,
        )


class _ClockOff:
    """The world, its clock read wrongly: all else in it is as it is."""

    def __init__(self, world: World, skew_ms: int) -> None:
        self._world = world
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        """Return the exchange's time, as it believes it to be."""
        return self._world.now_ms() + self._skew_ms

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


class _Routes:
    """Handlers by method and path; `{name}` stands for one path segment."""

    def __init__(self, handlers: Mapping[tuple[str, str], Handler]) -> None:
        self._exact = {line: found for line, found in handlers.items() if "{" not in line[1]}
        self._patterns = [
            (method, re.compile(re.sub(r"\{([a-z_]+)\}", r"(?P<\1>[^/]+)", path)), handler)
            for (method, path), handler in handlers.items()
            if "{" in path
        ]

    def find(self, request: WireRequest) -> tuple[Handler | None, Mapping[str, str]]:
        exact = self._exact.get((request.method, request.path))
        if exact is not None:
            return exact, {}
        for method, pattern, handler in self._patterns:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                return handler, found.groupdict()
        return None, {}


def _parameters(text: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=PARAMETERS_MAX))
    except ValueError:
        raise OrderRefused("bad_number") from None


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        raise OrderRefused("bad_number") from None
