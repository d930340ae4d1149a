"""The one market and the accounts behind all eight doors.

A request is one call: nothing here waits, so no two of them can mix. The clock is handed in.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from backend.app.exchanges.answers.base import OrderRefused
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
    Side,
    Ticker,
)
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.house import House
from backend.app.sandbox.journal import Journal
from backend.app.sandbox.listings import LISTINGS
from backend.app.sandbox.matching import MatchingFloor
from backend.app.sandbox.prices import DAY_MS, LISTED_AT_MS
from backend.app.sandbox.wallets import Wallets

CANDLES_MAX: Final = 1_500
PUBLIC_TRADES_MAX: Final = 1_000
_TRADE_EVERY_MS: Final = 2_000


class SandboxWorld:
    """Prices that are a function of the time, and orders and balances that are remembered."""

    def __init__(
        self, seed: bytes, now_ms: Callable[[], int], accounts: Sequence[SeededAccount]
    ) -> None:
        self._seed = seed
        self._clock = now_ms
        self._accounts = {account.account_id: account for account in accounts}
        self._houses = {line.market.symbol: House(seed, line) for line in LISTINGS}
        self.wallets: Final = Wallets()
        self._journal = Journal(self.wallets)
        self._floor = MatchingFloor(tuple(self._houses.values()), self.wallets, self._journal)
        began_ms = now_ms()
        for account in accounts:
            self._journal.endow(account.account_id, account.balances, began_ms)

    def now_ms(self) -> int:
        """Return the exchange's time."""
        return self._clock()

    def markets(self) -> Sequence[Market]:
        """Return every market."""
        return tuple(house.listing.market for house in self._houses.values())

    def market(self, symbol: str) -> Market:
        """Return one market by its unified symbol.

        Raises:
            OrderRefused: unknown_symbol.
        """
        return self._house(symbol).listing.market

    def ticker(self, symbol: str) -> Ticker:
        """Return the last 24 hours of a market.

        Raises:
            OrderRefused: unknown_symbol.
        """
        now_ms = self._clock()
        house = self._house(symbol)
        day = house.path.candle(now_ms - DAY_MS, DAY_MS, now_ms)
        book = self.order_book(symbol, 1)
        return Ticker(
            market=house.listing.market,
            last=day.close,
            bid=book.bids[0].price,
            bid_amount=book.bids[0].amount,
            ask=book.asks[0].price,
            ask_amount=book.asks[0].amount,
            open=day.open,
            high=day.high,
            low=day.low,
            volume=day.volume,
            quote_volume=day.quote_volume,
            at_ms=now_ms,
        )

    def candles(
        self, symbol: str, interval_ms: int, limit: int, end_ms: int | None = None
    ) -> Sequence[Candle]:
        """Return candles, the oldest first; the last one opens at or before `end_ms` (now).

        Raises:
            OrderRefused: unknown_symbol.
        """
        now_ms = self._clock()
        path = self._house(symbol).path
        last_ms = min(now_ms, now_ms if end_ms is None else end_ms) // interval_ms * interval_ms
        count = max(0, min(limit, CANDLES_MAX))
        opens = range(last_ms - (count - 1) * interval_ms, last_ms + 1, interval_ms)
        return tuple(
            path.candle(open_ms, interval_ms, now_ms)
            for open_ms in opens
            if open_ms >= LISTED_AT_MS
        )

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

    def key_information(self, account_id: str) -> KeyInformation:
        """Return what the exchange knows of an account's key."""
        return self._accounts[account_id].information()

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

    def _house(self, symbol: str) -> House:
        house = self._houses.get(symbol)
        if house is None:
            raise OrderRefused("unknown_symbol")
        return house

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
