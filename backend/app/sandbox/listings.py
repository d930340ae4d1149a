"""The markets of the sandbox, and around which price each one wanders."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from backend.app.exchanges.market_values import Market

VENUE_FEE: Final = Decimal("0.001")
"""What the venue takes of what a side receives, making or taking; the market in memory is free."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One market, its middle price and what it trades in an average minute, in base."""

    market: Market
    middle_price: Decimal
    volume_per_minute: Decimal


def _listing(
    symbol: str, middle: str, tick: str, step: str, volume: str, *, notional: str = "5"
) -> Listing:
    base, quote = symbol.split("/")
    market = Market(
        base=base,
        quote=quote,
        tick_size=Decimal(tick),
        step_size=Decimal(step),
        min_amount=Decimal(step),
        max_amount=Decimal(step) * 10_000_000,
        min_notional=Decimal(notional),
    )
    return Listing(market, Decimal(middle), Decimal(volume))


LISTINGS: Final = (
    _listing("BTC/USDT", "64000", "0.01", "0.00001", "12"),
    _listing("ETH/USDT", "3200", "0.01", "0.0001", "180"),
    _listing("SOL/USDT", "150", "0.01", "0.001", "2400"),
    _listing("XRP/USDT", "0.6", "0.0001", "0.1", "250000"),
    _listing("ADA/USDT", "0.45", "0.0001", "0.1", "150000"),
    _listing("DOGE/USDT", "0.12", "0.00001", "1", "900000"),
    _listing("LTC/USDT", "85", "0.01", "0.001", "900"),
    _listing("ETH/BTC", "0.05", "0.00001", "0.0001", "25", notional="0.0001"),
)
