"""How each exchange writes a candle, and what a candle must be to be believed.

CCXT knows how candles are asked for; it drops what was traded in quote and how often, so the rows
are read here.

Source: the rows as CCXT's `parse_ohlcv` documents them for each exchange, and the exchanges' pages
on candles (klines) for the members CCXT leaves out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from backend.app.exchanges.asking import digits, member
from backend.app.exchanges.market_data import SourceCandle, number, positive
from backend.app.exchanges.registry import ExchangeId

INTERVALS: Final[Mapping[str, timedelta]] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_MAX: Final = 4_102_444_800_000
_ROWS_MAX: Final = 5_000
_MISSING: Final = object()


class NotACandle(Exception):
    """A row is not as documented, or contradicts itself or another. Carries no part of it."""


@dataclass(frozen=True, slots=True)
class CandleRows:
    """Where an answer holds its rows, and under which index or name a row holds what."""

    page_max: int
    """The most candles one answer holds."""
    open: int | str
    high: int | str
    low: int | str
    close: int | str
    volume: int | str
    quote_volume: int | str
    rows: tuple[str, ...] = ()
    at: int | str = 0
    quote_volume_too: int | None = None
    """Where an exchange's pages place it as well: it is told only where both places agree."""
    trades: int | str | None = None
    in_seconds: bool = False
    lacks: frozenset[str] = frozenset()
    """Intervals whose candles do not open on UTC's clock, or that do not exist."""

    def read(self, answer: Any, interval: timedelta) -> dict[datetime, SourceCandle]:
        """Return the candles by the time they open, in any order.

        Raises:
            NotACandle: one is none, two of one time differ, there is no list or it has no end.
        """
        rows = member(answer, *self.rows)
        if not isinstance(rows, list) or len(rows) > _ROWS_MAX:
            raise NotACandle
        candles: dict[datetime, SourceCandle] = {}
        for row in rows:
            candle = self._read(row, interval)
            if candles.setdefault(candle.open_time, candle) != candle:
                raise NotACandle
        return candles

    def _read(self, row: Any, interval: timedelta) -> SourceCandle:
        trades = None if self.trades is None else digits(_at(row, self.trades))
        candle = SourceCandle(
            open_time=self._open_time(row, interval),
            open=_price(_at(row, self.open)),
            high=_price(_at(row, self.high)),
            low=_price(_at(row, self.low)),
            close=_price(_at(row, self.close)),
            volume=_amount(_at(row, self.volume)),
            quote_volume=self._quote_volume(row),
            trades=None if trades is None else int(trades),
        )
        if not candle.low <= min(candle.open, candle.close):
            raise NotACandle
        if not candle.high >= max(candle.open, candle.close):
            raise NotACandle
        return candle

    def _quote_volume(self, row: Any) -> Decimal | None:
        told = _amount(_at(row, self.quote_volume))
        if self.quote_volume_too is None or number(_at(row, self.quote_volume_too)) == told:
            return told
        return None

    def _open_time(self, row: Any, interval: timedelta) -> datetime:
        units = digits(_at(row, self.at))
        if units is None or int(units) > _UNITS_MAX:
            raise NotACandle
        since = timedelta(milliseconds=int(units) * (1000 if self.in_seconds else 1))
        if since % interval or since > timedelta(milliseconds=_UNITS_MAX):
            raise NotACandle
        return _EPOCH + since


def _at(row: Any, place: int | str) -> Any:
    if isinstance(place, str):
        return row.get(place, _MISSING) if isinstance(row, dict) else _MISSING
    return row[place] if isinstance(row, list) and place < len(row) else _MISSING


def _price(value: Any) -> Decimal:
    price = positive(value)
    if price is None:
        raise NotACandle
    return price


def _amount(value: Any) -> Decimal:
    amount = number(value)
    if amount is None or amount < 0:
        raise NotACandle
    return amount


CANDLES: Final[Mapping[str, CandleRows]] = {
    ExchangeId.BINANCE: CandleRows(1000, 1, 2, 3, 4, 5, quote_volume=7, trades=8),
    ExchangeId.OKX: CandleRows(300, 1, 2, 3, 4, 5, quote_volume=7, rows=("data",)),
    ExchangeId.BYBIT: CandleRows(1000, 1, 2, 3, 4, 5, quote_volume=6, rows=("result", "list")),
    ExchangeId.HTX: CandleRows(
        1000,
        "open",
        "high",
        "low",
        "close",
        "amount",
        quote_volume="vol",
        rows=("data",),
        at="id",
        trades="count",
        in_seconds=True,
        # Days begin at midnight in Singapore: https://github.com/ccxt/ccxt/pull/18014.
        lacks=frozenset({"1d"}),
    ),
    ExchangeId.KUCOIN: CandleRows(
        1500, 1, 3, 4, 2, 5, quote_volume=6, rows=("data",), in_seconds=True
    ),
    ExchangeId.GATE: CandleRows(1000, 5, 3, 4, 2, 6, quote_volume=1, in_seconds=True),
    # The older half of Bitget's candles is told by the 200. Of the last two members one is the
    # volume in quote and one that in USDT; its pages differ in which.
    ExchangeId.BITGET: CandleRows(
        200, 1, 2, 3, 4, 5, quote_volume=7, quote_volume_too=6, rows=("data",)
    ),
    ExchangeId.MEXC: CandleRows(500, 1, 2, 3, 4, 5, quote_volume=7),
}
