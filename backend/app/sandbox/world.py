"""The market in memory, and the accounts behind all eight doors, where there is no venue.

A request is one call: nothing here waits, so no two of them can mix. The clock is handed in.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import (
    Deposit,
    Fill,
    LedgerLine,
    Order,
    OrderBook,
    OrderRequest,
    PublicTrade,
    Side,
    Ticker,
)
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.house import House
from backend.app.sandbox.journal import Journal
from backend.app.sandbox.matching import MatchingFloor
from backend.app.sandbox.priced_markets import PricedMarkets
from backend.app.sandbox.wallets import Wallets

PUBLIC_TRADES_MAX: Final = 1_000
_TRADE_EVERY_MS: Final = 2_000


class SandboxWorld(PricedMarkets):
    """Prices that are a function of the time, and orders and balances that are remembered."""

    def __init__(
        self, seed: bytes, now_ms: Callable[[], int], accounts: Sequence[SeededAccount]
    ) -> None:
        super().__init__(seed, now_ms, accounts)
        self._seed = seed
        self.wallets: Final = Wallets()
        self._journal = Journal(self.wallets)
        self._floor = MatchingFloor(tuple(self._houses.values()), self.wallets, self._journal)
        began_ms = now_ms()
        for account in accounts:
            self._journal.endow(account.account_id, account.balances, began_ms)

    def ticker(self, symbol: str) -> Ticker:
        """Return the last 24 hours of a market.

        Raises:
            OrderRefused: unknown_symbol.
        """
        now_ms = self._clock()
        house = self._house(symbol)
        book = self.order_book(symbol, 1)
        return self._ticker(house, book.bids[0], book.asks[0], now_ms)

    def order_book(self, symbol: str, limit: int) -> OrderBook:
        """Return the best levels: the house's and every account's resting orders together.

        Raises:
            OrderRefused: unknown_symbol.
        """
        now_ms = self._clock()
        self._house(symbol)
        self._floor.settle(now_ms)
        return OrderBook(
            bids=tuple(islice(self._floor.levels(symbol, Side.BUY, now_ms), max(1, limit))),
            asks=tuple(islice(self._floor.levels(symbol, Side.SELL, now_ms), max(1, limit))),
            at_ms=now_ms,
        )

    def public_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade]:
        """Return the last trades, the newest first: one every two seconds, along the path.

        Raises:
            OrderRefused: unknown_symbol.
        """
        house = self._house(symbol)
        newest = self._clock() // _TRADE_EVERY_MS
        count = max(1, min(limit, PUBLIC_TRADES_MAX))
        return tuple(self._public_trade(house, newest - back) for back in range(count))

    def balances(self, account_id: str) -> Sequence[Balance]:
        """Return what an account holds, after every fill up to now."""
        self._floor.settle(self._clock())
        return self.wallets.balances(account_id)

    def place(self, account_id: str, asked: OrderRequest) -> Order:
        """Take an order.

        Raises:
            OrderRefused: with the rule it broke; nothing has moved then.
        """
        return self._floor.place(account_id, asked, self._clock())

    def cancel(self, account_id: str, order_id: int) -> Order:
        """Take an open order back.

        Raises:
            OrderRefused: order_not_found.
        """
        return self._floor.cancel(account_id, order_id, self._clock())

    def order(self, account_id: str, order_id: int) -> Order:
        """Return one order of an account.

        Raises:
            OrderRefused: order_not_found.
        """
        self._floor.settle(self._clock())
        return self._floor.order(account_id, order_id)

    def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return an account's open orders, the oldest first."""
        self._floor.settle(self._clock())
        return self._floor.open_orders(account_id, symbol)

    def orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return what is remembered of an account's orders, the oldest first."""
        self._floor.settle(self._clock())
        return self._floor.orders(account_id, symbol)

    def fills(self, account_id: str, symbol: str | None = None) -> Sequence[Fill]:
        """Return what an account has traded, the oldest first."""
        self._floor.settle(self._clock())
        return self._journal.fills(account_id, symbol)

    def deposits(self, account_id: str, asset: str | None = None) -> Sequence[Deposit]:
        """Return what an account was given, the oldest first."""
        return self._journal.deposits(account_id, asset)

    def ledger(self, account_id: str, asset: str | None = None) -> Sequence[LedgerLine]:
        """Return every change of what an account holds, the oldest first."""
        self._floor.settle(self._clock())
        return self._journal.lines(account_id, asset)

    def _public_trade(self, house: House, number: int) -> PublicTrade:
        at_ms = number * _TRADE_EVERY_MS
        market = house.listing.market
        traded = house.path.volume(at_ms - _TRADE_EVERY_MS, at_ms)
        odd = hashlib.blake2b(b"%d" % number, key=self._seed[:64], digest_size=1).digest()[0] & 1
        return PublicTrade(
            trade_id=number,
            price=house.path.price(at_ms),
            amount=max(traded, market.min_amount),
            side=Side.BUY if odd else Side.SELL,
            at_ms=at_ms,
        )
