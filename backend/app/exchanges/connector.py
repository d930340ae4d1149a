"""The only door to an exchange: asks what a key holds and may do, and reports facts.

CCXT signs, `Outbound` carries, the dialect reads. The verdict rests on the raw answer alone:
success is what the dialect recognises as this exchange's success, a refusal is what the exchange
says in its own codes, and everything else is no verdict. CCXT's `fetch_balance` is one request with
a detour: it first loads markets, calls an HTML page an empty account and keeps numbers as floats.
The same request is made here through CCXT's implicit method, without the detour.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import yarl

from backend.app.clock import Clock, utc_now
from backend.app.enums import Environment, Known
from backend.app.errors import (
    ConfigurationError,
    CredentialRefused,
    ExchangeThrottled,
    ExchangeUnreachable,
    StrongroomError,
)
from backend.app.exchanges.ccxt_client import CcxtClients
from backend.app.exchanges.ccxt_profiles import CCXT_PROFILES
from backend.app.exchanges.exchange_clock import ExchangeClocks
from backend.app.exchanges.inquiry import Inquiry
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrders
from backend.app.exchanges.market_names import MarketNames
from backend.app.exchanges.outbound import Outbound, OutboundLimits
from backend.app.exchanges.raw_answer import RawAnswer
from backend.app.exchanges.reasons import PASSING, Reason, Refusal, Standing
from backend.app.exchanges.refusals import advice, sentence
from backend.app.exchanges.registry import resolve
from backend.app.exchanges.verification import ExchangeKeys, Verification
from backend.app.exchanges.wire import SigningKeys

__all__ = ["Connector", "ConnectorSettings", "ExchangeKeys", "Verification", "allowed_origins"]

_TOO_LATE: Final = Refusal(Reason.EXCHANGE_UNAVAILABLE)
_RETRY_AFTER_SECONDS: Final = 30

_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """Which world the connector talks to, and how long one question may take in all."""

    mode: Environment
    sandbox_url: str
    limits: OutboundLimits = field(default_factory=OutboundLimits)
    question_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class _KeyTold:
    """What the key-information calls told, and why they told no more."""

    answers: list[RawAnswer]
    information: KeyInformation | None
    unread: Refusal | None

    @property
    def was_refused(self) -> bool:
        """Whether the exchange refused to tell, and not only for the moment."""
        if self.information is not None or self.unread is None:
            return False
        return bool(self.answers) and self.unread.reason not in PASSING


class Connector:
    """Asks the eight exchanges. Built once; opens connections and loads CCXT when first asked."""

    def __init__(
        self,
        settings: ConnectorSettings,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        sandboxed = settings.mode is Environment.SANDBOX
        self._question_seconds = settings.question_seconds
        self._clients = CcxtClients(settings.sandbox_url if sandboxed else None)
        self._outbound = Outbound(allowed_origins(settings), settings.limits, monotonic)
        self._clock = clock
        self._monotonic = monotonic
        self._clocks = ExchangeClocks(monotonic)
        self._names = MarketNames(monotonic)

    async def verify(self, exchange: str, keys: ExchangeKeys) -> Verification:
        """Ask an exchange for a key's balance and rights. An exchange's misbehaviour never raises.

        Raises:
            ExchangeUnknown: the name is none of the eight.
        """
        asked, signing_keys = resolve(exchange), keys.reveal()
        inquiry = await self._inquire(asked, signing_keys)
        started = self._monotonic()
        try:
            async with asyncio.timeout(self._question_seconds):
                found = await self._verify(asked, inquiry, signing_keys)
        except TimeoutError:
            found = Verification(refusal=_TOO_LATE, key_information_refusal=_TOO_LATE)
        return replace(found, latency_ms=round((self._monotonic() - started) * 1000))

    async def balances(self, exchange: str, keys: ExchangeKeys) -> tuple[Balance, ...]:
        """Return what an account holds on spot, by asset, without what is zero.

        Raises:
            ExchangeUnknown: the name is none of the eight.
            ExchangeUnreachable: no verdict on the key; asking again later is right.
            ExchangeThrottled: the exchange asks us to slow down.
            CredentialRefused: the exchange refused the key.
        """

        async def ask(inquiry: Inquiry) -> tuple[tuple[Balance, ...], Refusal | None]:
            if not CCXT_PROFILES[resolve(exchange)].key_information_first:
                return await inquiry.balances()
            about_key, _ = await inquiry.ask_key(keys.api_key)
            return await inquiry.balances(about_key)

        return await self._told(exchange, keys, ask)

    async def open_orders(self, exchange: str, keys: ExchangeKeys) -> OpenOrders:
        """Return the spot orders of an account that rest in a book, oldest first.

        Raises:
            ExchangeUnknown: the name is none of the eight.
            ExchangeUnreachable: no verdict on the key; asking again later is right.
            ExchangeThrottled: the exchange asks us to slow down.
            CredentialRefused: the exchange refused the key.
        """
        return await self._told(exchange, keys, Inquiry.open_orders)

    async def close(self) -> None:
        """Close every connection."""
        await self._outbound.close()

    async def _told(
        self,
        exchange: str,
        keys: ExchangeKeys,
        ask: Callable[[Inquiry], Awaitable[tuple[_Told, Refusal | None]]],
    ) -> _Told:
        asked, signing_keys = resolve(exchange), keys.reveal()
        inquiry = await self._inquire(asked, signing_keys)
        try:
            async with asyncio.timeout(self._question_seconds):
                told, refusal = await ask(inquiry)
        except TimeoutError:
            raise _as_error(asked, _TOO_LATE) from None
        if refusal is not None:
            raise _as_error(asked, _without_keys(refusal, signing_keys))
        return told

    async def _verify(self, exchange: str, inquiry: Inquiry, keys: SigningKeys) -> Verification:
        told, (balances, refusal) = await self._ask_both(exchange, inquiry, keys.api_key)
        # Only where it can prove something, and with the request the clock would have taken.
        tries = told.was_refused and refusal is None
        offset_ms, clock_evidence = inquiry.clock
        return Verification(
            refusal=refusal and _without_keys(refusal, keys),
            balances=balances,
            key_information=told.information,
            key_information_refusal=told.unread and _without_keys(told.unread, keys),
            dry_run_order=await inquiry.try_order() if tries else Known.UNKNOWN,
            clock_offset_ms=offset_ms,
            clock_evidence=clock_evidence,
            evidence=tuple(inquiry.evidence),
        )

    async def _ask_both(
        self, exchange: str, inquiry: Inquiry, api_key: str
    ) -> tuple["_KeyTold", tuple[tuple[Balance, ...], Refusal | None]]:
        """Ask for key and balance; at once, unless the balance call needs the key's answer."""
        if CCXT_PROFILES[exchange].key_information_first:
            told = await _ask_key(inquiry, api_key)
            async with asyncio.TaskGroup() as both:
                balance_task = both.create_task(inquiry.balances(told.answers))
                both.create_task(_read_clock(inquiry, told))
            return told, balance_task.result()
        async with asyncio.TaskGroup() as both:
            balance_task = both.create_task(inquiry.balances())
            told = await _ask_key(inquiry, api_key)
            await _read_clock(inquiry, told)
        return told, balance_task.result()

    async def _inquire(self, exchange: str, keys: SigningKeys) -> Inquiry:
        # The first of an exchange loads CCXT, which takes a busy machine its time, and is no
        # silence of the exchange: whoever counts seconds begins afterwards.
        signer = await self._clients.signer(exchange, keys)
        return Inquiry(
            exchange,
            signer,
            self._outbound,
            self._clock,
            self._monotonic,
            clocks=self._clocks,
            names=self._names,
        )


async def _ask_key(inquiry: Inquiry, api_key: str) -> _KeyTold:
    answers, silence = await inquiry.ask_key(api_key)
    if silence is not None:
        return _KeyTold([], None, silence)
    return _KeyTold(answers, *inquiry.read_key(answers, api_key))


async def _read_clock(inquiry: Inquiry, told: _KeyTold) -> None:
    # A key that was not told may need the request for a dry-run order; one refused is not worth it.
    if told.information is not None:
        await inquiry.read_clock()


def allowed_origins(settings: ConnectorSettings) -> dict[str, frozenset[str]]:
    """Return, per exchange, the origins a request may go to: the sandbox's or its own, never both.

    Raises:
        ConfigurationError: the sandbox address is no address, or a real exchange's.
    """
    live = {name: profile.live_origin for name, profile in CCXT_PROFILES.items()}
    if settings.mode is Environment.LIVE:
        return {name: frozenset({origin}) for name, origin in live.items()}
    try:
        sandbox = yarl.URL(settings.sandbox_url)
        origin = str(sandbox.origin())
    except ValueError:
        raise ConfigurationError("SANDBOX_URL: expected http://host:port") from None
    if sandbox.host in {yarl.URL(real).host for real in live.values()}:
        raise ConfigurationError("SANDBOX_URL: this is a real exchange; see EXCHANGE_MODE")
    return {name: frozenset({origin}) for name in live}


def _without_keys(refusal: Refusal, keys: SigningKeys) -> Refusal:
    # A far end that echoes our headers could put a key where its code belongs.
    said = f"{refusal.code} {refusal.seen_address}"
    secrets = (keys.api_key, keys.api_secret, keys.passphrase)
    if any(secret and secret in said for secret in secrets):
        return Refusal(refusal.reason)
    return refusal


def _as_error(exchange: str, refusal: Refusal) -> StrongroomError:
    said, steps = sentence(refusal.reason), advice(exchange, refusal.reason, refusal.seen_address)
    facts = {
        "exchange_name": exchange,
        "reason": refusal.reason,
        "advice": steps,
        "exchange_code": refusal.code,
    }
    if refusal.standing is not Standing.NO_VERDICT:
        about_key = {"standing": refusal.standing, "seen_address": refusal.seen_address}
        return CredentialRefused(f"{said} {steps}", facts=facts | about_key)
    throttled = refusal.reason is Reason.RATE_LIMITED
    kind = ExchangeThrottled if throttled else ExchangeUnreachable
    return kind(f"{said} {steps}", facts=facts, retry_after_seconds=_RETRY_AFTER_SECONDS)
