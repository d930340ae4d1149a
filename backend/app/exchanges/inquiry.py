"""One conversation with one exchange about one key: the calls, and a note of each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from backend.app.clock import Clock
from backend.app.enums import Evidence, Known
from backend.app.exchanges.ccxt_client import CcxtSigner
from backend.app.exchanges.ccxt_profiles import CCXT_PROFILES
from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.exchange_clock import ExchangeClocks
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder, OpenOrders
from backend.app.exchanges.market_names import ASK_SECONDS_MAX, MarketNames, NamesCall
from backend.app.exchanges.outbound import Fault, NoAnswer, Outbound, OutboundAnswer
from backend.app.exchanges.raw_answer import RawAnswer
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.registry import classify_refusal, dialect
from backend.app.exchanges.verification import CallEvidence

_ANSWERED: Final = "answered"
# An HTTP date has whole seconds: on average the moment is half of one later.
_DATE_ROUNDING: Final = timedelta(milliseconds=500)
_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The balance was read from the same address with the same key, so of the causes an exchange may
# leave open only the missing right remains.
_NOT_ALLOWED: Final = frozenset({Reason.PERMISSION_MISSING, Reason.AMBIGUOUS_CREDENTIALS})


class Inquiry:
    """Asks what the profile of the exchange lists, and reads the answers by its dialect."""

    def __init__(
        self,
        exchange: str,
        signer: CcxtSigner,
        outbound: Outbound,
        clock: Clock,
        monotonic: Callable[[], float],
        *,
        clocks: ExchangeClocks,
        names: MarketNames,
    ) -> None:
        self._exchange = exchange
        self._profile = CCXT_PROFILES[exchange]
        self._signer = signer
        self._outbound = outbound
        self._clock = clock
        self._monotonic = monotonic
        self._clocks = clocks
        self._names = names
        self._date_offset_ms: int | None = None
        self.evidence: list[CallEvidence] = []

    @property
    def clock(self) -> tuple[int | None, Evidence | None]:
        """How far the exchange's clock is ahead of ours, and what says so."""
        told = self._clocks.offset_ms(self._exchange)
        if told is not None:
            return told, Evidence.FETCH_TIME
        return self._date_offset_ms, None if self._date_offset_ms is None else Evidence.HTTP_DATE

    async def balances(
        self, known: Sequence[RawAnswer] = ()
    ) -> tuple[tuple[Balance, ...], Refusal | None]:
        """Return the balances, or why there are none."""
        try:
            answers = await self._profile.balances(self._ask, known)
        except NoAnswer as silence:
            return (), _no_verdict(silence.fault)
        try:
            if all(answer.accepted for answer in answers):
                values = [answer.value for answer in answers]
                return dialect(self._exchange).read_balances(values), None
        except NotTheExchange:
            pass
        return (), self._refusal(answers)

    async def open_orders(self) -> tuple[OpenOrders, Refusal | None]:
        """Return the open orders, or why there are none to show."""
        none = OpenOrders((), is_complete=False)
        try:
            told = await self._profile.open_orders(self._ask)
        except NoAnswer as silence:
            return none, _no_verdict(silence.fault)
        try:
            if all(answer.accepted for answer in told.answers):
                values = [answer.value for answer in told.answers]
                read = dialect(self._exchange).read_open_orders(values)
                return OpenOrders(await self._with_symbols(read), told.is_complete), None
        except NotTheExchange:
            pass
        return none, self._refusal(told.answers)

    async def ask_key(self, api_key: str) -> tuple[list[RawAnswer], Refusal | None]:
        """Return what the exchange said about the key, or why it said nothing."""
        try:
            return await self._profile.key_information(self._ask, api_key), None
        except NoAnswer as silence:
            return [], _no_verdict(silence.fault)

    def read_key(
        self, answers: Sequence[RawAnswer], api_key: str
    ) -> tuple[KeyInformation | None, Refusal | None]:
        """Return the key's rights, and why they, or some of them, stay unknown."""
        values = [answer.value if answer.accepted else None for answer in answers]
        try:
            if any(value is not None for value in values):
                told = dialect(self._exchange).read_key_information(values, api_key)
                return told, self._refusal(answers) if None in values else None
        except NotTheExchange:
            pass
        return None, self._refusal(answers)

    async def read_clock(self) -> None:
        """Ask the exchange for the time, unless that was done within the last minute."""
        time_call = self._profile.time
        if time_call is None or self._clocks.offset_ms(self._exchange) is not None:
            return
        at, started = self._clock(), self._monotonic()
        try:
            answer = await self._ask(time_call.method)
        except NoAnswer:
            return
        theirs_ms = time_call.read_ms(answer.value) if answer.accepted else None
        if theirs_ms is None:
            return
        # The exchange looked at its clock somewhere between question and answer: halfway, say.
        halfway = at + timedelta(seconds=(self._monotonic() - started) / 2)
        ours_ms = (halfway - _UNIX_EPOCH) / timedelta(milliseconds=1)
        self._clocks.keep(self._exchange, round(theirs_ms - ours_ms))

    async def try_order(self) -> Known:
        """Have an order checked that is never placed: whether the key may trade."""
        tried = self._profile.dry_run_order
        if tried is None:
            return Known.UNKNOWN
        try:
            answer = await self._ask(tried.method, **tried.order)
        except NoAnswer:
            return Known.UNKNOWN
        if answer.accepted and tried.passed(answer.value):
            return Known.YES
        return Known.NO if self._refusal([answer]).reason in _NOT_ALLOWED else Known.UNKNOWN

    async def _with_symbols(self, orders: tuple[OpenOrder, ...]) -> tuple[OpenOrder, ...]:
        call = self._profile.market_names
        if call is None:
            return orders
        unknown = self._names.unknown(self._exchange, {order.instrument for order in orders})
        if unknown:
            await self._ask_names(call, unknown)
        return tuple(
            replace(order, symbol=self._names.symbol(self._exchange, order.instrument))
            for order in orders
        )

    async def _ask_names(self, call: NamesCall, unknown: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS_MAX):
                answer = await self._ask(call.method, **call.asks(unknown))
        except (NoAnswer, TimeoutError):
            return
        told = call.read(answer.value) if answer.accepted else {}
        if told:
            self._names.keep(self._exchange, unknown, told)

    async def _ask(self, method: str, **params: str) -> RawAnswer:
        at, started = self._clock(), self._monotonic()
        outcome, status = _ANSWERED, None
        try:
            request = await self._signer.sign(method, params)
            answer = await self._outbound.send(self._exchange, request)
            status = answer.status
            self._compare_clocks(answer)
            return RawAnswer.read(answer.status, answer.body)
        except NoAnswer as silence:
            outcome = silence.fault.value
            raise
        finally:
            latency_ms = round((self._monotonic() - started) * 1000)
            self.evidence.append(CallEvidence(method, at, latency_ms, outcome, status))

    def _refusal(self, answers: Sequence[RawAnswer]) -> Refusal:
        # A plan stops at the answer it cannot go on from, so a refusal stands last unless the
        # status of an earlier one says more.
        refused = [answer for answer in answers if not answer.accepted]
        decisive = refused[0] if refused else answers[-1]
        return classify_refusal(self._exchange, decisive.status, decisive.text)

    def _compare_clocks(self, answer: OutboundAnswer) -> None:
        try:
            theirs = parsedate_to_datetime(answer.date or "")
        except ValueError:
            return
        theirs = theirs.replace(tzinfo=theirs.tzinfo or UTC)
        ahead: timedelta = theirs + _DATE_ROUNDING - self._clock()
        self._date_offset_ms = round(ahead / timedelta(milliseconds=1))


def _no_verdict(fault: Fault) -> Refusal:
    if fault is Fault.UNSENDABLE:
        # The keys hold what no request can carry; nobody was asked, so nobody refused.
        return Refusal(Reason.UNKNOWN)
    return Refusal(Reason.EXCHANGE_UNAVAILABLE)
