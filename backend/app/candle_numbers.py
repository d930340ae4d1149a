"""A candle as its numbers, whoever made it, and a trade it may be made of."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

VENUE: Final = "strongroom"
"""The exchange that our own venue's candles are of: nobody but its trades tells them."""
SYNTHETIC: Final = "synthetic"
"""The exchange of made-up candles, for trying things out."""


class CandleNumbers(Protocol):
    """What a candle says. `volume` is in base, `quote_volume` in quote; None is not told."""

    @property
    def open_time(self) -> datetime:
        """When it opens."""
        ...

    @property
    def open(self) -> Decimal:
        """The first price."""
        ...

    @property
    def high(self) -> Decimal:
        """The highest price."""
        ...

    @property
    def low(self) -> Decimal:
        """The lowest price."""
        ...

    @property
    def close(self) -> Decimal:
        """The last price."""
        ...

    @property
    def volume(self) -> Decimal:
        """How much was traded, in base."""
        ...

    @property
    def quote_volume(self) -> Decimal | None:
        """How much was paid, in quote."""
        ...

    @property
    def trades(self) -> int | None:
        """How many trades there were."""
        ...


class Trade(NamedTuple):
    """One trade of one market. Of two at one moment the higher `trade_id` is the later."""

    symbol: str
    trade_id: int
    traded_at: datetime
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal


@dataclass(frozen=True, slots=True)
class ChangedCandle:
    """A candle that was written anew; `body` tells it as `GET /candles` does."""

    symbol: str
    interval: str
    body: dict[str, Any]
