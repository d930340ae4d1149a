"""Where each exchange says what its markets last traded at.

CCXT's unified tickers are not used: where the last price is zero or absent, CCXT works one out from
the opening price and the change, and one row that is no number spoils all the others.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backend.app.exchanges.asking import digits, member
from backend.app.exchanges.market_data import BadQuote, BadQuoteReason, Quote, positive
from backend.app.exchanges.registry import ExchangeId

ASKED_BY_NAME_MAX: Final = 100
"""Beyond this all markets are asked for: the weight is the same, and the address would be long."""
_ROWS_MAX: Final = 20_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS_MAX: Final = 4_102_444_800_000


class NotTickers(Exception):
    """The answer holds no list of tickers. Carries no part of it."""


@dataclass(frozen=True, slots=True)
class TickerCall:
    """A public call that tells the last price of many markets, and where it tells it."""

    method: str
    last: str
    name: str = "symbol"
    rows: tuple[str, ...] = ()
    at: str | None = None
    """The row's own time, in milliseconds."""
    answer_at: tuple[str, ...] = ()
    """The time of the whole answer, where rows have none."""
    params: Mapping[str, str] = field(default_factory=dict)
    by_names: str | None = None
    """The parameter that asks for some markets alone, by a JSON list of names."""

    def asks(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the parameters that ask for these markets, or for all."""
        if self.by_names is None or len(names) > ASKED_BY_NAME_MAX:
            return self.params
        listed = json.dumps(sorted(names), separators=(",", ":"))
        return {**self.params, self.by_names: listed}

    def read(
        self, answer: Any, symbols: Mapping[str, str], asked_at: datetime, now: datetime
    ) -> Iterator[Quote | BadQuote]:
        """Yield what was told of these markets, given as symbols by the exchange's own names.

        Raises:
            NotTickers: the answer is none.
        """
        listed = member(answer, *self.rows)
        if not isinstance(listed, list):
            raise NotTickers
        rows = {member(row, self.name): row for row in listed[:_ROWS_MAX] if _named(row, self.name)}
        told_at = _moment(member(answer, *self.answer_at)) if self.answer_at else None
        for name, symbol in symbols.items():
            if name in rows:
                own = _moment(member(rows[name], self.at)) if self.at else None
                # A time yet to come would make a price look fresh while a clock runs ahead.
                as_of = min(own or told_at or asked_at, now)
                yield self._quote(symbol, rows[name], as_of)
            else:
                yield BadQuote(symbol, BadQuoteReason.MISSING)

    def _quote(self, symbol: str, row: Any, as_of: datetime) -> Quote | BadQuote:
        price = positive(member(row, self.last))
        if price is None:
            return BadQuote(symbol, BadQuoteReason.NOT_A_PRICE)
        return Quote(symbol, price, as_of)


def _named(row: Any, name: str) -> bool:
    return isinstance(member(row, name), str)


def _moment(value: Any) -> datetime | None:
    told = digits(value)
    if told is None or not 0 < int(told) < _MS_MAX:
        return None
    return _EPOCH + timedelta(milliseconds=int(told))


TICKERS: Final[Mapping[str, TickerCall]] = {
    ExchangeId.BINANCE: TickerCall(
        "publicGetTicker24hr", "lastPrice", at="closeTime", by_names="symbols"
    ),
    ExchangeId.OKX: TickerCall(
        "publicGetMarketTickers",
        "last",
        name="instId",
        rows=("data",),
        at="ts",
        params={"instType": "SPOT"},
    ),
    ExchangeId.BYBIT: TickerCall(
        "publicGetV5MarketTickers",
        "lastPrice",
        rows=("result", "list"),
        answer_at=("time",),
        params={"category": "spot"},
    ),
    ExchangeId.HTX: TickerCall(
        "spotPublicGetMarketTickers", "close", rows=("data",), answer_at=("ts",)
    ),
    ExchangeId.KUCOIN: TickerCall(
        "publicGetMarketAllTickers", "last", rows=("data", "ticker"), answer_at=("data", "time")
    ),
    # Gate tells no time at all.
    ExchangeId.GATE: TickerCall("publicSpotGetTickers", "last", name="currency_pair"),
    ExchangeId.BITGET: TickerCall(
        "publicSpotGetV2SpotMarketTickers", "lastPr", rows=("data",), at="ts"
    ),
    ExchangeId.MEXC: TickerCall("spotPublicGetTicker24hr", "lastPrice", at="closeTime"),
}
