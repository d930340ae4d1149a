"""`strongroom candles` and `strongroom chart` as processes, on a database of the test's own."""

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from backend.app.candle_interval import CandleInterval
from backend.app.commands.synthetic_operations import synthesize
from backend.app.database import Database
from backend.app.errors import ConfigurationError
from backend.tests.support.commands import strongroom
from backend.tests.support.databases import server_connection
from backend.tests.support.sandbox import RunningSandbox

STRONGROOM = Path(sys.executable).with_name("strongroom")
SECONDS_MAX = 120


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "STRONGROOM_HOME": str(home / "kept"), **variables}


def command(*words: str, home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return strongroom(*words, cwd=home, env=environment(home, **variables))


SYNTHESIZE = ("candles", "synthesize", "BTC/USDT", "--seed", "7", "--days", "2")


async def made(out: Path | None, *, symbol: str = "BTC/USDT", store: bool = False) -> int:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    return await synthesize(symbol, 7, 2, CandleInterval.M15, since, out=out, store=store)


async def test_a_file_of_made_up_candles_is_the_same_every_time(tmp_path: Path) -> None:
    done = command(*SYNTHESIZE, "--out", "one.csv", "--interval", "15m", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "192 candles in one.csv\n"), done.stderr
    await made(tmp_path / "two.csv")

    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    first = next(csv.DictReader((tmp_path / "one.csv").read_text().splitlines()))
    assert first["open_time"] == "2026-01-01T00:00:00Z"
    assert list(first) == [
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_asset_volume",
        "number_of_trades",
    ]


async def test_a_document_of_made_up_candles_says_what_it_is_of(tmp_path: Path) -> None:
    await made(tmp_path / "d.json")

    document = json.loads((tmp_path / "d.json").read_text())
    assert document["metadata"] == {
        "exchange": "synthetic",
        "symbol": "BTC/USDT",
        "interval": "15m",
        "asset_class": "spot",
    }
    assert len(document["data"]) == 192


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"out": None}, "--store"),
        ({"out": "x.csv", "store": True}, "--store"),
        ({"out": "x.xls"}, ".csv or .json"),
        ({"out": "no/such/x.csv"}, "cannot be written"),
        ({"out": "x.csv", "symbol": "btc"}, "capitals"),
    ],
)
async def test_what_cannot_be_synthesized_is_told(
    tmp_path: Path, asked: dict[str, Any], said: str
) -> None:
    out = asked.pop("out")

    with pytest.raises(ConfigurationError, match=said):
        await made(out and tmp_path / out, **asked)


async def test_stored_candles_are_drawn_into_one_file(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    variables = {"DATABASE_URL": database_url}
    done = command(*SYNTHESIZE, "--store", "--from", "2026-11-10", home=tmp_path, **variables)
    # Two days: 2,880 + 576 + 192 + 48 + 12 + 2.
    assert done.stdout == "3710 candles stored: --exchange synthetic\n", done.stderr

    drawn = command(
        "chart", "btcusdt", "--exchange", "synthetic", "--interval", "4h", "--out", "c.html",
        home=tmp_path, **variables,
    )  # fmt: skip

    assert drawn.stdout == "12 candles in c.html\n", drawn.stderr
    page = (tmp_path / "c.html").read_text()
    assert "<h1>BTC/USDT" in page
    async with database.snapshot() as session:
        exchanges = await session.scalars(text("SELECT DISTINCT exchange FROM candles"))
        assert list(exchanges) == ["synthetic"]


def test_a_chart_of_nothing_says_what_to_do(tmp_path: Path, database_url: str) -> None:
    done = command("chart", "BTC/USDT", home=tmp_path, DATABASE_URL=database_url)

    assert done.returncode == 1
    assert "has no symbol BTC/USDT" in done.stderr
    assert not (tmp_path / "chart.html").exists()


def backfill_words(days: int) -> tuple[str, ...]:
    since = datetime.now(UTC).replace(hour=0, minute=0, second=0) - timedelta(days=days)
    return (
        "candles", "backfill", "btcusdt", "--interval", "1m",
        "--from", f"{since:%Y-%m-%d}", "--to", f"{since + timedelta(days=days):%Y-%m-%d}",
    )  # fmt: skip


def test_a_symbol_the_exchange_does_not_have_is_told_with_what_is_near(
    tmp_path: Path, database_url: str, sandbox: RunningSandbox
) -> None:
    words = [word.replace("btcusdt", "BTC/USD") for word in backfill_words(1)]
    done = command(*words, home=tmp_path, DATABASE_URL=database_url, SANDBOX_URL=sandbox.base_url)

    assert done.returncode == 1
    assert "binance has no symbol BTC/USD. Near it: BTC/USDT" in done.stderr


# Whoever would store a candle from a moment on waits while a test holds the lock.
HOLD_FROM = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;
CREATE TRIGGER hold BEFORE INSERT ON candles FOR EACH ROW
    WHEN (NEW.open_time >= '{}') EXECUTE FUNCTION hold();
SELECT pg_advisory_lock(1)
"""
HOLD_NO_MORE = "SELECT pg_advisory_unlock(1); DROP FUNCTION hold CASCADE"
HELD = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@asynccontextmanager
async def held_from(connection: Any, moment: datetime) -> AsyncIterator[Callable[[], Any]]:
    """Hold up whoever stores candles from a moment on; yields what waits until somebody is."""

    async def somebody_held() -> int:
        async with asyncio.timeout(SECONDS_MAX):
            while (pid := await connection.fetchval(HELD)) is None:
                await asyncio.sleep(0.02)
        return int(pid)

    await connection.execute(HOLD_FROM.format(moment.isoformat()))
    yield somebody_held
    await connection.execute(HOLD_NO_MORE)


@pytest.mark.slow
async def test_a_killed_backfill_is_finished_by_the_next_without_a_hole_or_a_double(
    tmp_path: Path, database_url: str, database: Database, sandbox: RunningSandbox
) -> None:
    variables = {"DATABASE_URL": database_url, "SANDBOX_URL": sandbox.base_url}
    days = 4
    words = backfill_words(days)
    since = datetime.fromisoformat(words[6]).replace(tzinfo=UTC)

    async with server_connection(database_url) as connection:
        for minutes in (500, 2_000, 5_000):
            async with held_from(connection, since + timedelta(minutes=minutes)) as somebody_held:
                with subprocess.Popen(
                    [STRONGROOM, *words],
                    cwd=tmp_path,
                    env=environment(tmp_path, **variables),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                ) as process:
                    held = await somebody_held()
                    process.send_signal(signal.SIGKILL)
                assert process.returncode == -signal.SIGKILL
                # Its session still waits, for a lock that nobody gives it any more.
                await connection.execute("SELECT pg_terminate_backend($1, 60000)", held)
    last = command(*words, home=tmp_path, **variables)

    assert "going on at" in last.stdout, last.stderr
    assert "has no candles" not in last.stdout
    async with database.snapshot() as session:
        found = await session.execute(
            text(
                "SELECT count(*), count(DISTINCT open_time), max(open_time) - min(open_time)"
                " FROM candles"
            )
        )
        assert tuple(found.one()) == (
            days * 1440, days * 1440, timedelta(minutes=days * 1440 - 1),
        )  # fmt: skip
