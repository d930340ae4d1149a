"""Candles computed the plain way, and synthetic trades to compute them from."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from backend.app.candle_numbers import Trade
from backend.app.database import Database

LENGTHS_SECONDS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}

Key = tuple[str, str, datetime]


def reference(trades: Iterable[Trade]) -> dict[Key, tuple[Any, ...]]:
    """Return every candle of the trades: sort, group, look."""
    groups: dict[Key, list[Trade]] = defaultdict(list)
    for trade in sorted(trades, key=lambda each: (each.traded_at, each.trade_id)):
        for interval, seconds in LENGTHS_SECONDS.items():
            at = int(trade.traded_at.timestamp()) // seconds * seconds
            groups[trade.symbol, interval, datetime.fromtimestamp(at, UTC)].append(trade)
    return {key: _candle(group) for key, group in groups.items()}


def _candle(group: list[Trade]) -> tuple[Any, ...]:
    prices = [trade.price for trade in group]
    return (
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(trade.quantity for trade in group),
        sum(trade.quote_quantity for trade in group),
        len(group),
    )


async def stored(database: Database, exchange: str = "strongroom") -> dict[Key, tuple[Any, ...]]:
    """Return every candle the database has of an exchange."""
    async with database.snapshot() as session:
        found = await session.execute(
            text(
                'SELECT symbol, "interval", open_time, open, high, low, close, volume,'
                " quote_volume, trades FROM candles WHERE exchange = :exchange"
            ),
            {"exchange": exchange},
        )
        return {(row[0], row[1], row[2]): tuple(row[3:]) for row in found}


def synthetic_trades(
    seed: int, count: int, begins: datetime, lasts: timedelta, symbols: tuple[str, ...]
) -> Iterator[Trade]:
    """Yield trades in no order, some of them at the same microsecond."""
    drawn = random.Random(seed)
    # Fewer moments than trades: so the order of trades is told by their number now and then.
    moments = max(1, count // 2)
    for number in range(count):
        price = Decimal(drawn.randrange(6_300_000, 6_500_000)) / 100
        quantity = Decimal(drawn.randrange(1, 100_000)) / 100_000
        yield Trade(
            symbol=drawn.choice(symbols),
            trade_id=number,
            traded_at=begins + lasts * drawn.randrange(moments) / moments,
            price=price,
            quantity=quantity,
            quote_quantity=price * quantity,
        )
