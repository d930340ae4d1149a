"""A day of one-minute candles: read from the candle table against aggregated from its trades.

python -m bench.candles
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from backend.app.candle_interval import CandleInterval
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.migrations import migrate
from backend.app.repositories.candle_repository import CandleRepository, Series
from backend.app.services.live.silent_announcer import SilentAnnouncer
from backend.app.services.market.candle_builder import CandleBuilder
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.time_storage import TimeStorage
from backend.tests.support.reference_candles import synthetic_trades
from bench._support import (
    Load,
    bare_app,
    free_port,
    get,
    judged,
    load,
    middle,
    postgres,
    running,
    strongroom,
)

_DAY = datetime(2026, 11, 20, tzinfo=UTC)
_NOON = _DAY + timedelta(hours=36)
_SIZES = (100_000, 1_000_000)
_BUILT = 50_000
_ROUNDS = 3
_RATIO_GOAL = 8.0
_CONNECTIONS = 8
_MINUTES = 1440

_MAKE = text(
    "INSERT INTO ticks (exchange, symbol, traded_at, trade_id, price, quantity, quote_quantity)"
    " SELECT 'strongroom', CAST(:symbol AS varchar), CAST(:day AS timestamptz)"
    "  + n * interval '1 day' / CAST(:count AS integer), n,"
    "  64000 + n % 997 / 100.0, 1 + n % 89 / 1000.0, 64000 + n % 1009"
    " FROM generate_series(0, CAST(:count AS integer) - 1) AS n"
)
_AGGREGATE = text(
    "SELECT date_trunc('minute', traded_at) AS open_time,"
    " (array_agg(price ORDER BY traded_at, trade_id))[1] AS open, max(price), min(price),"
    " (array_agg(price ORDER BY traded_at DESC, trade_id DESC))[1] AS close,"
    " sum(quantity), sum(quote_quantity), count(*)"
    " FROM ticks WHERE exchange = 'strongroom' AND symbol = :symbol"
    "  AND traded_at >= :day AND traded_at < :day + interval '1 day'"
    " GROUP BY 1 ORDER BY 1"
)
_FLOOR = "COPY of the same trades"


def _symbol(count: int) -> str:
    return f"N{count}/USDT"


async def _timed(act: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await act()
    return time.perf_counter() - started


async def _read(database: Database, count: int) -> tuple[float, float]:
    """Return seconds for the candle table and for the aggregate, taken in turn."""
    series = Series("strongroom", _symbol(count), CandleInterval.M1)

    async def candles() -> None:
        async with database.snapshot() as session:
            page = await CandleRepository(session).page(
                series, _DAY, _DAY + timedelta(days=1), _MINUTES
            )
            assert page.items.count("open_time") == _MINUTES

    async def aggregate() -> None:
        async with database.snapshot() as session:
            rows = await session.execute(_AGGREGATE, {"symbol": _symbol(count), "day": _DAY})
            assert len(rows.all()) == _MINUTES

    await candles()
    rounds = [(await _timed(candles), await _timed(aggregate)) for _ in range(_ROUNDS)]
    return median(ours for ours, _ in rounds), median(theirs for _, theirs in rounds)


async def _prepare(database: Database, storage: TimeStorage) -> None:
    await storage.make_room_ahead()
    minutes = [_DAY + timedelta(minutes=n) for n in range(_MINUTES)]
    for count in _SIZES:
        async with database.transaction() as session:
            await session.execute(text("SET LOCAL statement_timeout = '10min'"))
            await session.execute(_MAKE, {"symbol": _symbol(count), "day": _DAY, "count": count})
            await CandleRepository(session).rebuild_minutes(
                "strongroom", [(_symbol(count), at) for at in minutes]
            )
    async with database.transaction() as session:
        await session.execute(text("ANALYZE ticks"))
        await session.execute(text("ANALYZE candles"))


async def _build(database: Database, storage: TimeStorage) -> tuple[float, float]:
    """Return seconds to take trades into ticks and candles, and to COPY them into a plain table."""
    trades = list(synthetic_trades(7, _BUILT, _DAY, timedelta(days=1), ("BTC/USDT",)))
    builder = CandleBuilder(database, storage, SilentAnnouncer(), lambda: _NOON)
    ours = await _timed(lambda: builder.take(trades))
    connection = await database.own_connection()
    await connection.execute(
        "CREATE TABLE copied AS SELECT symbol, traded_at, trade_id, price, quantity,"
        " quote_quantity FROM ticks LIMIT 0;"
        " ALTER TABLE copied ADD PRIMARY KEY (symbol, traded_at, trade_id)"
    )
    columns = ("symbol", "traded_at", "trade_id", "price", "quantity", "quote_quantity")
    rows = [tuple(getattr(trade, name) for name in columns) for trade in trades]
    theirs = await _timed(
        lambda: connection.copy_records_to_table("copied", columns=columns, records=rows)
    )
    await connection.close()
    return ours, theirs


async def _in_database(url: str) -> None:
    database = Database(url, DatabaseSettings(_env_file=None))
    storage = TimeStorage(database, Retention(7, 400, None), lambda: _DAY)
    await _prepare(database, storage)
    print(f"{'a day of minutes':<34} {'candle table':>14} {'aggregate':>14} {'ratio':>8}")
    for count in _SIZES:
        ours, theirs = await _read(database, count)
        verdict = (
            judged(theirs / ours, _RATIO_GOAL) if count == _SIZES[-1] else f"{theirs / ours:>6.2f}x"
        )
        print(
            f"{f'of {count:,} trades':<34} {ours * 1000:>11.1f} ms {theirs * 1000:>11.1f} ms"
            f" {verdict}",
            flush=True,
        )
    ours, theirs = await _build(database, storage)
    print(
        f"{f'{_BUILT:,} trades into candles':<34} {_BUILT / ours:>12,.0f}/s"
        f" {_BUILT / theirs:>12,.0f}/s {theirs / ours:>6.2f}x  of a {_FLOOR}"
    )
    await database.close()


def _over_http(url: str, seconds: float) -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        serve = strongroom("serve", "--role", "prices")
        environment = {"DATABASE_URL": url, "PRICES_PORT": str(port), "RL_MAX_REQUESTS": "0"}
        stack.enter_context(running(serve, port, "/readyz", environment))
        span = f"&from={_DAY:%Y-%m-%dT%H:%M:%SZ}&to={_DAY + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        asked = f"/candles?symbol={_symbol(_SIZES[-1])}&interval=1m&exchange=strongroom{span}"
        print(f"{'GET /candles':<34} {'ours':>14} {'bare route':>14} {'ratio':>8}")
        for name, limit in (("a day, 1,440 candles", _MINUTES), ("300 candles, remembered", 300)):
            path = f"{asked}&limit={limit}"
            body = directory / f"{limit}.json"
            body.write_bytes(_body(port, path))
            bare_port = free_port()
            with running(bare_app(bare_port, body), bare_port, "/"):
                _compare(name, (port, path), bare_port, seconds)


def _compare(name: str, ours: tuple[int, str], bare_port: int, seconds: float) -> None:
    port, path = ours
    load(port, [get(path)], seconds / 2)
    alone = load(port, [get(path)], seconds)
    rounds: list[tuple[Load, Load]] = [
        (
            load(port, [get(path)] * _CONNECTIONS, seconds),
            load(bare_port, [get("/")] * _CONNECTIONS, seconds),
        )
        for _ in range(3)
    ]
    many, bare = middle([one for one, _ in rounds]), middle([two for _, two in rounds])
    print(
        f"{name:<34} {many.per_second:>12,.0f}/s {bare.per_second:>12,.0f}/s"
        f" {many.per_second / bare.per_second:>6.2f}x  alone: p50 {alone.p50_ms:.1f} ms"
    )


def _body(port: int, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, body
    return body


def main(seconds: float) -> None:
    with postgres() as url:
        migrate(url)
        asyncio.run(_in_database(url))
        _over_http(url, seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
