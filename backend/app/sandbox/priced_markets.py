"""What of the market is a function of the time: the clock, the prices, the candles, the keys."""

from collections.abc import Callable, Sequence
from typing import Final

from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.market_values import Candle, Level, Market, Ticker
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.house import House
from backend.app.sandbox.prices import DAY_MS, LISTED_AT_MS

CANDLES_MAX: Final = 1_500


class PricedMarkets:
    """The markets along their paths of prices. Whether anybody trades changes nothing here."""

    def __init__(
        self,
        houses: Sequence[House],
        now_ms: Callable[[], int],
        accounts: Sequence[SeededAccount],
    ) -> None:
        self._clock = now_ms
        self._accounts = {account.account_id: account for account in accounts}
        self._houses = {house.listing.market.symbol: house for house in houses}

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

    def key_information(self, account_id: str) -> KeyInformation:
        """Return what the exchange knows of an account's key."""
        return self._accounts[account_id].information()

    def _house(self, symbol: str) -> House:
        house = self._houses.get(symbol)
        if house is None:
            raise OrderRefused("unknown_symbol")
        return house

    def _ticker(self, house: House, bid: Level, ask: Level, now_ms: int) -> Ticker:
        day = house.path.candle(now_ms - DAY_MS, DAY_MS, now_ms)
        return Ticker(
            market=house.listing.market,
            last=day.close,
            bid=bid.price,
            bid_amount=bid.amount,
            ask=ask.price,
            ask_amount=ask.amount,
            open=day.open,
            high=day.high,
            low=day.low,
            volume=day.volume,
            quote_volume=day.quote_volume,
            at_ms=now_ms,
        )
