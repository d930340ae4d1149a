"""The market in memory, as the doors ask for it. It never waits, so no two requests can mix."""

from collections.abc import Collection, Sequence

from backend.app.exchanges.key_information import Balance, KeyInformation
from backend.app.exchanges.market_values import (
    Candle,
    Deposit,
    Fill,
    LedgerLine,
    Market,
    Order,
    OrderBook,
    OrderRequest,
    PublicTrade,
    Ticker,
)
from backend.app.sandbox.world import SandboxWorld


class MemoryWorld:
    """A World whose orders and balances last as long as the process."""

    def __init__(self, market: SandboxWorld) -> None:
        self._market = market

    def now_ms(self) -> int:
        """Return the exchange's time."""
        return self._market.now_ms()

    def markets(self) -> Sequence[Market]:
        """Return every market."""
        return self._market.markets()

    def market(self, symbol: str) -> Market:
        """Return one market by its unified symbol."""
        return self._market.market(symbol)

    async def ticker(self, symbol: str) -> Ticker:
        """Return the last 24 hours of a market."""
        return self._market.ticker(symbol)

    def candles(
        self, symbol: str, interval_ms: int, limit: int, end_ms: int | None = None
    ) -> Sequence[Candle]:
        """Return candles, the oldest first."""
        return self._market.candles(symbol, interval_ms, limit, end_ms)

    async def order_book(self, symbol: str, limit: int) -> OrderBook:
        """Return the best levels."""
        return self._market.order_book(symbol, limit)

    async def public_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade]:
        """Return the last trades, the newest first."""
        return self._market.public_trades(symbol, limit)

    async def balances(self, account_id: str) -> Sequence[Balance]:
        """Return what an account holds."""
        return self._market.balances(account_id)

    def key_information(self, account_id: str) -> KeyInformation:
        """Return what the exchange knows of an account's key."""
        return self._market.key_information(account_id)

    async def place(self, account_id: str, asked: OrderRequest) -> Order:
        """Take an order."""
        return self._market.place(account_id, asked)

    async def cancel(self, account_id: str, order_id: int) -> Order:
        """Take an open order back."""
        return self._market.cancel(account_id, order_id)

    async def order(self, account_id: str, order_id: int) -> Order:
        """Return one order of an account."""
        return self._market.order(account_id, order_id)

    async def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return an account's open orders, the oldest first."""
        return self._market.open_orders(account_id, symbol)

    async def orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return what is remembered of an account's orders, the oldest first."""
        return self._market.orders(account_id, symbol)

    async def order_news(
        self, account_id: str, after_id: int, watched: Collection[int]
    ) -> Sequence[Order]:
        """Return the orders numbered above `after_id`, and the watched ones; the oldest first."""
        known = self._market.orders(account_id)
        return [each for each in known if each.order_id > after_id or each.order_id in watched]

    async def fills(
        self, account_id: str, symbol: str | None = None, order_id: int | None = None
    ) -> Sequence[Fill]:
        """Return what an account has traded, the oldest first."""
        known = self._market.fills(account_id, symbol)
        return [fill for fill in known if order_id in (None, fill.order_id)]

    async def deposits(self, account_id: str, asset: str | None = None) -> Sequence[Deposit]:
        """Return what an account was given, the oldest first."""
        return self._market.deposits(account_id, asset)

    async def ledger(self, account_id: str, asset: str | None = None) -> Sequence[LedgerLine]:
        """Return every change of what an account holds, the oldest first."""
        return self._market.ledger(account_id, asset)
