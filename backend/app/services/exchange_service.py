"""What the exchanges say, turned into verdicts a person can act on.

A tool below the use cases: it holds no transaction and stores nothing.
"""

from decimal import Decimal
from typing import Final, Protocol

from backend.app.clock import Clock
from backend.app.enums import Environment, Known
from backend.app.errors import ExchangeThrottled, ExchangeUnreachable, Unprocessable
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrders
from backend.app.exchanges.key_information import OpenOrder as RestingOrder
from backend.app.exchanges.reasons import Reason, Standing
from backend.app.exchanges.refusals import advice, sentence
from backend.app.exchanges.registry import SUPPORTED, profile, resolve
from backend.app.exchanges.verification import ExchangeKeys, Verification
from backend.app.logs import logger
from backend.app.money import plain
from backend.app.schemas.account_schemas import OpenOrder
from backend.app.schemas.exchange_schemas import (
    AccountInfo,
    AssetBalance,
    SupportedExchange,
    Verdict,
)
from backend.app.schemas.passport_schemas import Passport
from backend.app.services.passport import issue_passport

_BALANCES_SHOWN_MAX: Final = 200
_RETRY_AFTER_SECONDS: Final = 30
_VALID: Final = "valid"
_LOG = logger(__name__)


class ExchangeConnector(Protocol):
    """The one border to the exchanges, as this service uses it."""

    async def verify(self, exchange: str, keys: ExchangeKeys) -> Verification:
        """Try a key pair and return what the exchange said."""

    async def balances(self, exchange: str, keys: ExchangeKeys) -> tuple[Balance, ...]:
        """Return the spot balances of the account behind a key pair."""

    async def open_orders(self, exchange: str, keys: ExchangeKeys) -> OpenOrders:
        """Return the open spot orders of the account behind a key pair."""

    async def close(self) -> None:
        """Let go of every connection."""


class ExchangeService:
    """Asks the eight exchanges; every exchange through one interface."""

    def __init__(self, connector: ExchangeConnector, environment: Environment, now: Clock) -> None:
        self._connector = connector
        self._environment = environment
        self._now = now

    @staticmethod
    def get_supported_exchanges() -> list[SupportedExchange]:
        """Return the eight, with what each needs."""
        return [_supported(exchange) for exchange in SUPPORTED]

    @staticmethod
    def accept(exchange_name: str, has_passphrase: bool) -> str:
        """Return the canonical id, if what came with the name is what the exchange needs.

        Raises:
            ExchangeUnknown: none of the eight.
            Unprocessable: the passphrase is missing, or one too many.
        """
        wanted = profile(resolve(exchange_name))
        if wanted.needs_passphrase and not has_passphrase:
            raise _passphrase_problem("missing", f"{wanted.name} needs the key's passphrase.")
        if has_passphrase and not wanted.needs_passphrase:
            raise _passphrase_problem("surplus", f"{wanted.name} keys have no passphrase.")
        return wanted.exchange.value

    async def verify_credentials(self, exchange: str, keys: ExchangeKeys) -> Verdict:
        """Ask an exchange what a key pair is worth, now.

        Raises:
            ExchangeUnreachable: no answer, or none that says anything of the key.
            ExchangeThrottled: the exchange asks us to slow down.
        """
        return require_verdict(await self.ask(exchange, keys))

    async def ask(self, exchange: str, keys: ExchangeKeys) -> Verdict:
        """Ask as `verify_credentials` does, and return also that there was no verdict."""
        found = await self._connector.verify(exchange, keys)
        _log(exchange, found)
        return self._verdict(exchange, found)

    async def get_account_balance(self, exchange: str, keys: ExchangeKeys) -> list[AssetBalance]:
        """Return the spot balances behind a key pair, as decimal strings.

        Raises:
            CredentialRefused: the exchange refused the key.
            ExchangeUnreachable: no usable answer.
            ExchangeThrottled: the exchange asks us to slow down.
        """
        return [_asset(balance) for balance in await self._connector.balances(exchange, keys)]

    async def get_open_orders(
        self, exchange: str, keys: ExchangeKeys
    ) -> tuple[list[OpenOrder], bool]:
        """Return the open spot orders behind a key pair, and whether these are all.

        Raises:
            CredentialRefused: the exchange refused the key.
            ExchangeUnreachable: no usable answer.
            ExchangeThrottled: the exchange asks us to slow down.
        """
        told = await self._connector.open_orders(exchange, keys)
        return [_order(order) for order in told.orders], told.is_complete

    def _verdict(self, exchange: str, found: Verification) -> Verdict:
        refusal, at = found.refusal, self._now()
        passport = issue_passport(found, self._environment, at)
        return Verdict(
            exchange_name=exchange,
            environment=self._environment,
            is_valid=refusal is None,
            standing=refusal.standing if refusal else None,
            has_trading_permission=_may_trade(passport) if passport and not refusal else None,
            reason=refusal.reason if refusal else None,
            error_message=sentence(refusal.reason) if refusal else None,
            advice=advice(exchange, refusal.reason, refusal.seen_address) if refusal else None,
            exchange_code=refusal.code if refusal else None,
            seen_address=refusal.seen_address if refusal else None,
            passport=passport,
            account_info=None if refusal else _account(found.key_information, found.balances),
            checked_at=at,
            latency_ms=found.latency_ms,
        )


def require_verdict(verdict: Verdict) -> Verdict:
    """Return the verdict if it is one.

    Raises:
        ExchangeUnreachable: the exchange said nothing of the key.
        ExchangeThrottled: it asks us to slow down.
    """
    if verdict.standing is not Standing.NO_VERDICT:
        return verdict
    throttled = verdict.reason is Reason.RATE_LIMITED
    kind = ExchangeThrottled if throttled else ExchangeUnreachable
    raise kind(
        f"{verdict.error_message} {verdict.advice}",
        facts={
            "exchange_name": verdict.exchange_name,
            "reason": verdict.reason,
            "exchange_code": verdict.exchange_code,
        },
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


def _log(exchange: str, found: Verification) -> None:
    refusal = found.refusal
    _LOG.info(
        "key_verified",
        exchange=exchange,
        standing=refusal.standing.value if refusal else _VALID,
        reason=refusal.reason.value if refusal else None,
        milliseconds=found.latency_ms,
    )


def _passphrase_problem(kind: str, message: str) -> Unprocessable:
    error = {"loc": ["body", "passphrase"], "type": f"passphrase_{kind}", "msg": message}
    return Unprocessable(message, facts={"errors": [error]})


def _supported(exchange: str) -> SupportedExchange:
    known = profile(exchange)
    return SupportedExchange(
        id=exchange,
        name=known.name,
        aliases=list(known.aliases),
        needs_passphrase=known.needs_passphrase,
        key_page=known.key_page,
        rights_to_tick=list(known.rights_to_tick),
    )


def _may_trade(passport: Passport) -> bool | None:
    return None if passport.can_trade is Known.UNKNOWN else passport.can_trade is Known.YES


def _account(known: KeyInformation | None, balances: tuple[Balance, ...]) -> AccountInfo:
    # Hundreds of dust balances are common; the largest names first would need prices.
    held = sorted((b for b in balances if b.total > Decimal(0)), key=lambda b: b.asset)
    return AccountInfo(
        owner_uid=known.owner_uid if known else None,
        is_sub_account=known.is_sub_account if known else Known.UNKNOWN,
        balances=[_asset(balance) for balance in held[:_BALANCES_SHOWN_MAX]],
        balances_left_out=max(0, len(held) - _BALANCES_SHOWN_MAX),
    )


def _asset(balance: Balance) -> AssetBalance:
    return AssetBalance(
        asset=balance.asset,
        available=plain(balance.available),
        locked=plain(balance.locked),
        total=plain(balance.total),
    )


def _order(order: RestingOrder) -> OpenOrder:
    return OpenOrder(
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        symbol=order.symbol,
        side=order.side,
        type=order.order_type,
        price=None if order.price is None else plain(order.price),
        amount=plain(order.amount),
        filled=plain(order.filled),
        remaining=plain(order.remaining),
        status="partially_filled" if order.filled else "open",
        created_at=order.created_at,
    )
