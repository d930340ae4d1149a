"""What all eight renderers share: plain numbers, names of markets, words that come in.

Money leaves as text (or, where the exchange itself does, as a bare JSON number): a handler puts
`plain(amount)` for the text and the `Decimal` itself for the number. No float on the way.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from backend.app.exchanges.answers.base import OrderRefused, World
from backend.app.exchanges.market_values import Market, Order, Ticker
from backend.app.money import plain

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS
MONTH_MS: Final = 30 * DAY_MS

_NUMBER_LENGTH_MAX_CHARACTERS: Final = 40
_NUMBER_EXPONENT_MAX: Final = 12
"""Beyond it, arithmetic on a hostile number would need more digits than Decimal carries."""


def places(step: Decimal) -> int:
    """Return how many decimal places a step needs: 0.01 needs 2, 10 needs 0."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def json_body(value: Any) -> bytes:
    """Write plain values as JSON, a `Decimal` as a bare number with all its digits."""
    return _json_text(value).encode()


def _json_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(key))}:{_json_text(item)}" for key, item in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_json_text(item) for item in value) + "]"
    return json.dumps(value, allow_nan=False)


@dataclass(frozen=True, slots=True)
class SymbolNames:
    """How an exchange writes a market: BTCUSDT, BTC-USDT, BTC_USDT or btcusdt."""

    separator: str = ""
    lower: bool = False

    def name(self, market: Market) -> str:
        """Write a market as the exchange does."""
        name = f"{market.base}{self.separator}{market.quote}"
        return name.lower() if self.lower else name

    def market(self, world: World, name: object) -> Market:
        """Return the market an exchange's own name means.

        Raises:
            OrderRefused: unknown_symbol.
        """
        for market in world.markets():
            if self.name(market) == name:
                return market
        raise OrderRefused("unknown_symbol")

    def market_or_none(self, world: World, name: object) -> Market | None:
        """Return the market named, or None where no name was given."""
        return None if name in (None, "") else self.market(world, name)


def decimal_in(value: object) -> Decimal:
    """Read a positive number from a parameter, a form or a JSON body (text or number).

    Raises:
        OrderRefused: bad_number.
    """
    text = str(value)
    if isinstance(value, bool) or len(text) > _NUMBER_LENGTH_MAX_CHARACTERS:
        raise OrderRefused("bad_number")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise OrderRefused("bad_number") from None
    if not number.is_finite() or number <= 0:
        raise OrderRefused("bad_number")
    if abs(number.adjusted()) > _NUMBER_EXPONENT_MAX:
        raise OrderRefused("bad_number")
    return number


def decimal_or_none(value: object) -> Decimal | None:
    """Read a positive number where one was given; absent, empty and zero mean none.

    Raises:
        OrderRefused: bad_number.
    """
    return None if value in (None, "", "0", 0) else decimal_in(value)


def whole_in(value: object, default: int, most: int) -> int:
    """Read a count such as `limit`; absent means `default`, more than `most` means `most`.

    Raises:
        OrderRefused: bad_number.
    """
    if value in (None, ""):
        return default
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 - 64 bits
        raise OrderRefused("bad_number")
    return min(int(text), most)


def order_id_in(value: object) -> int:
    """Read an order's number.

    Raises:
        OrderRefused: order_not_found, for whatever can be no number of ours.
    """
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 - 64 bits
        raise OrderRefused("order_not_found")
    return int(text)


def interval_in(table: Mapping[str, int], word: object) -> int:
    """Return the milliseconds of an exchange's own interval word.

    Raises:
        OrderRefused: bad_number.
    """
    interval_ms = table.get(str(word))
    if interval_ms is None:
        raise OrderRefused("bad_number")
    return interval_ms


def time_text(at_ms: int) -> str:
    """Write Unix milliseconds as ISO 8601 in UTC with milliseconds and a Z."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def days_left(ends_at: datetime, now_ms: int) -> int:
    """Return the days until an end, a day begun counting as whole."""
    left = ends_at - datetime.fromtimestamp(now_ms / 1000, UTC)
    return -(-left // timedelta(days=1))


def average_price(order: Order) -> Decimal:
    """Return what one unit of the filled part cost on average, zero while nothing is filled."""
    if not order.filled:
        return Decimal(0)
    return (order.filled_quote / order.filled).quantize(order.market.tick_size / 100)


def change(ticker: Ticker) -> Decimal:
    """Return how far the price moved in 24 hours."""
    return ticker.last - ticker.open


def change_ratio(ticker: Ticker) -> Decimal:
    """Return the 24 hours' move as a part of the opening price (0.01 is one percent)."""
    return (change(ticker) / ticker.open).quantize(Decimal("0.000001"))


def assets(world: World) -> tuple[str, ...]:
    """Return every asset that some market trades, each once."""
    markets = world.markets()
    return tuple(dict.fromkeys(asset for m in markets for asset in (m.base, m.quote)))


def mean_price(ticker: Ticker) -> Decimal:
    """Return what one unit cost on average in 24 hours; the last price where nothing traded."""
    if not ticker.volume:
        return ticker.last
    return (ticker.quote_volume / ticker.volume).quantize(ticker.market.tick_size)


def home_chain(asset: str) -> str:
    """Return the one chain an asset moves on here: its own, and Ethereum for the dollar token."""
    return "ETH" if asset == "USDT" else asset
