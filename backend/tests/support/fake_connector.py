"""The outside world as a test wants it: an exchange that answers what it is told to."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

from backend.app.enums import Known
from backend.app.errors import StrongroomError
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder, OpenOrders
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.verification import ExchangeKeys, Verification

GOOD_KEY = Verification(
    refusal=None,
    balances=(Balance("BTC", Decimal("0.50"), Decimal(1)), Balance("ETH", Decimal(0))),
    key_information=KeyInformation(can_read=Known.YES, can_trade=Known.YES, owner_uid="77"),
    latency_ms=12,
)


def refused(reason: Reason) -> Verification:
    """Return what the connector reports when an exchange refuses."""
    return Verification(refusal=Refusal(reason, code="-2015"), latency_ms=12)


class FakeConnector:
    """Remembers what it was asked with; `meanwhile` runs while the exchange is answering.

    About accounts, an exchange in `refuses` raises, and one in `holds_up` answers only after that.
    """

    def __init__(self) -> None:
        self.says = GOOD_KEY
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self.asked: list[tuple[str, str, str, str | None]] = []
        self.held: dict[str, tuple[Balance, ...]] = {}
        self.resting: tuple[OpenOrder, ...] = ()
        self.all_told = True
        self.refuses: dict[str, StrongroomError] = {}
        self.holds_up: dict[str, asyncio.Event] = {}

    async def verify(self, exchange: str, keys: ExchangeKeys) -> Verification:
        opened = keys.reveal()
        self.asked.append((exchange, opened.api_key, opened.api_secret, opened.passphrase))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return self.says

    async def balances(self, exchange: str, keys: ExchangeKeys) -> tuple[Balance, ...]:
        await self._asked_account(exchange, keys)
        return self.held.get(exchange, self.says.balances)

    async def open_orders(self, exchange: str, keys: ExchangeKeys) -> OpenOrders:
        await self._asked_account(exchange, keys)
        return OpenOrders(self.resting, self.all_told)

    async def _asked_account(self, exchange: str, keys: ExchangeKeys) -> None:
        await self.verify(exchange, keys)
        if exchange in self.holds_up:
            await self.holds_up[exchange].wait()
        if exchange in self.refuses:
            raise self.refuses[exchange]

    async def close(self) -> None:
        pass
