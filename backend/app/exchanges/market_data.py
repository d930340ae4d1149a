"""What the exchanges tell everybody: quotes, markets, candles, and why there is none of it.

Numbers are `Decimal` from the text the exchange sent, times are aware and UTC. No float exists on
the way, and no text of an exchange leaves but in `MarketListing.raw`, which is its own document.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{0,60})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_EXPONENT_MIN: Final = -60
_EXPONENT_MAX: Final = 30


class MarketFault(StrEnum):
    """Why an exchange told nothing of its markets."""

    AWAY = "away"
    SLOW = "slow"
    THROTTLED = "throttled"
    REFUSED = "refused"
    NONSENSE = "nonsense"


class MarketSourceUnavailable(Exception):
    """No usable market data came. Says which exchange and why, in our words alone."""

    def __init__(self, exchange: str, fault: MarketFault) -> None:
        super().__init__(f"{exchange}: {fault.value}")
        self.exchange = exchange
        self.fault = fault


class MarketNotListed(Exception):
    """The exchange lists no spot market of this symbol."""

    def __init__(self, exchange: str, symbol: str) -> None:
        super().__init__(f"{exchange} does not list this symbol")
        self.exchange = exchange
        self.symbol = symbol


class IntervalNotOffered(Exception):
    """The exchange has no candles of this interval that open on UTC's clock."""

    def __init__(self, exchange: str, interval: str) -> None:
        super().__init__(f"{exchange} has no candles of this interval")
        self.exchange = exchange
        self.interval = interval


class BadQuoteReason(StrEnum):
    """Why a symbol has no price."""

    NOT_LISTED = "not_listed"
    """The exchange's list of markets does not have it."""
    MISSING = "missing"
    """It is listed, and the exchange left it out of its answer."""
    NOT_A_PRICE = "not_a_price"
    """What stands in the price's place is zero, negative, not finite or no number."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a market last traded at.

    `as_of` is the exchange's time; where it tells none, when we asked; never later than the answer.
    """

    symbol: str
    price: Decimal
    as_of: datetime


@dataclass(frozen=True, slots=True)
class BadQuote:
    """A symbol that was asked for and has no price that could be believed."""

    symbol: str
    reason: BadQuoteReason


@dataclass(frozen=True, slots=True)
class MarketListing:
    """One spot market as its exchange lists it. A limit is None where it is not told.

    `raw` is the exchange's own document; its fractions are kept as text.
    """

    symbol: str
    base: str
    quote: str
    tick_size: Decimal | None
    step_size: Decimal | None
    min_notional: Decimal | None
    min_amount: Decimal | None
    max_amount: Decimal | None
    is_active: bool
    exchange_name: str
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SourceCandle:
    """One candle; `volume` in base, `quote_volume` in quote. The newest may still be growing."""

    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal | None
    trades: int | None


def number(value: Any) -> Decimal | None:
    """Return a number exactly as it was written; None for what is none, or out of all bounds."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    # Python refuses to write out a number of thousands of digits, and says so by raising.
    if isinstance(value, int) and abs(value) >= 10**60:
        return None
    text = str(value)
    if _NUMBER.fullmatch(text) is None:
        return None
    read = Decimal(text)
    exponent = read.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _EXPONENT_MIN or read.adjusted() > _EXPONENT_MAX:
        return None
    return read


def positive(value: Any) -> Decimal | None:
    """Return a number above zero; None for everything else."""
    read = number(value)
    return read if read is not None and read > 0 else None
