"""What a market maker asks and bids around a price: whole ticks and steps, sizes from a seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from random import Random
from typing import Any, Final

_BPS: Final = Decimal(10_000)
_WORTH_MIN, _WORTH_MAX = 4, 40


@dataclass(frozen=True)
class Plan:
    """How to quote. Basis points are hundredths of a percent."""

    symbols: Sequence[str]
    levels: int
    spread_bps: int
    threshold_bps: int
    seed: int
    every_seconds: float


@dataclass(frozen=True)
class QuotedMarket:
    """What orders of a market must keep to."""

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    price_min: Decimal
    price_max: Decimal
    quantity_max: Decimal
    min_notional: Decimal

    @classmethod
    def told(cls, shown: Mapping[str, Any]) -> "QuotedMarket":
        """Return a market as the house tells of it."""
        numbers = ("tick_size", "step_size", "price_min", "price_max", "quantity_max")
        return cls(
            *(shown["symbol"], shown["base_asset"], shown["quote_asset"]),
            *(Decimal(shown[name]) for name in (*numbers, "min_notional")),
        )


class Quoter:
    """The orders around a price, of a size drawn anew for each."""

    def __init__(self, market: QuotedMarket, plan: Plan) -> None:
        self._market = market
        self._plan = plan
        # Seeded on purpose: the same prices, the same orders.
        self._random = Random(f"{plan.seed} {market.symbol}")  # noqa: S311

    def orders(self, middle: Decimal) -> list[dict[str, str]]:
        """Return post-only orders below a price and above it, the nearest first."""
        return [*self._side("buy", middle), *self._side("sell", middle)]

    def has_moved(self, middle: Decimal, quoted: Decimal) -> bool:
        """Tell whether a price is so far from the one that was quoted that it has to be anew."""
        return abs(middle - quoted) * _BPS > quoted * self._plan.threshold_bps

    def _side(self, side: str, middle: Decimal) -> Iterator[dict[str, str]]:
        market = self._market
        way, rounding = (-1, ROUND_FLOOR) if side == "buy" else (1, ROUND_CEILING)
        apart = middle * self._plan.spread_bps / _BPS / 2
        last: Decimal | None = None
        for level in range(1, self._plan.levels + 1):
            price = _whole(middle + way * level * apart, market.tick_size, rounding)
            if last is not None and way * price <= way * last:
                price = last + way * market.tick_size
            last = price
            if market.price_min <= price <= market.price_max:
                yield self._order(side, price)

    def _order(self, side: str, price: Decimal) -> dict[str, str]:
        market = self._market
        worth = market.min_notional * self._random.randint(_WORTH_MIN, _WORTH_MAX)
        quantity = _whole(worth / price, market.step_size, ROUND_CEILING)
        return {
            "symbol": market.symbol,
            "side": side,
            "price": f"{price:f}",
            "quantity": f"{min(quantity, market.quantity_max):f}",
            "time_in_force": "post_only",
            "self_trade_prevention": "cancel_taker",
        }


def _whole(number: Decimal, unit: Decimal, rounding: str) -> Decimal:
    return (number / unit).to_integral_value(rounding) * unit
