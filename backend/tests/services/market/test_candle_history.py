"""Candles that exchanges tell: kept as told, corrected in place, and fetched from the past."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_interval import CandleInterval
from backend.app.channel_message import Message
from backend.app.database import Database
from backend.app.errors import CandleRangeRefused, ExchangeUnreachable
from backend.app.exchanges.market_data import MarketFault, MarketSourceUnavailable
from backend.app.repositories.candle_repository import Gap, Series
from backend.app.services.market.candle_backfill import CandleBackfilling, Progress
from backend.app.services.market.candle_follow import FIRST_CANDLES, CandleFollow
from backend.app.services.market.candle_history import CandleHistory, Kept
from backend.app.services.market.time_storage import TimeStorage
from backend.tests.conftest import HandClock
from backend.tests.support.reference_candles import stored
from backend.tests.support.told_candles import ToldCandles, told_candle

MINUTES = Series("binance", "BTC/USDT", CandleInterval.M1)
MINUTE = timedelta(minutes=1)


class Heard:
    """Remembers what was announced."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def announce(self, messages: Sequence[Message]) -> None:
        self.messages += messages


class Refused(Exception):
    """Raised by a leader that leads no more."""


async def nothing(_session: AsyncSession) -> None:
    """Let it be written."""


async def refusing(_session: AsyncSession) -> None:
    raise Refused


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def history(
    database: Database, storage: TimeStorage, heard: Heard, clock: HandClock
) -> CandleHistory:
    return CandleHistory(database, storage, heard, clock)


@pytest.fixture
def source(clock: HandClock) -> ToldCandles:
    return ToldCandles(clock)


async def closes(database: Database) -> dict[datetime, Decimal]:
    return {key[2]: candle[3] for key, candle in (await stored(database, "binance")).items()}


async def test_a_candle_told_again_replaces_what_was_told_before(
    history: CandleHistory, heard: Heard, database: Database, clock: HandClock
) -> None:
    at = clock()
    await history.keep(MINUTES, [told_candle(at, "101"), told_candle(at + MINUTE, "102")], nothing)
    heard.messages.clear()

    kept = await history.keep(
        MINUTES, [told_candle(at, "101"), told_candle(at + MINUTE, "99.5")], nothing
    )

    assert kept == Kept(written=2, changed=1, left_out=0)
    assert await closes(database) == {at: Decimal(101), at + MINUTE: Decimal("99.5")}
    assert [(told.channel, told.body["close"]) for told in heard.messages] == [
        ("candles:BTC/USDT:1m", "99.5")
    ]


async def test_nothing_is_written_or_told_by_who_may_write_no_more(
    history: CandleHistory, heard: Heard, database: Database, clock: HandClock
) -> None:
    with pytest.raises(Refused):
        await history.keep(MINUTES, [told_candle(clock())], refusing)

    assert await closes(database) == {}
    assert heard.messages == []


async def test_no_told_candle_is_written_over_the_venues_own(
    history: CandleHistory, clock: HandClock
) -> None:
    with pytest.raises(ValueError, match="its trades"):
        await history.keep(replace(MINUTES, exchange="strongroom"), [told_candle(clock())], nothing)


async def test_candles_that_are_kept_no_longer_or_are_no_numbers_of_a_market_are_left_out(
    history: CandleHistory, database: Database, clock: HandClock
) -> None:
    good = told_candle(clock())
    absurd = replace(told_candle(clock() - MINUTE), volume=Decimal(10) ** 20)
    old = told_candle(clock() - timedelta(days=401))

    kept = await history.keep(MINUTES, [old, absurd, good], nothing)

    assert kept == Kept(written=1, changed=1, left_out=2)
    assert list(await closes(database)) == [clock()]


async def test_a_new_series_begins_with_enough_for_a_chart(
    history: CandleHistory, source: ToldCandles, database: Database, clock: HandClock
) -> None:
    follow = CandleFollow(source, history, clock)

    due = await follow.catch_up(MINUTES, nothing)

    assert source.asked == [
        ("BTC/USDT", "1m", clock() - (FIRST_CANDLES - 1) * MINUTE, FIRST_CANDLES)
    ]
    assert len(await closes(database)) == FIRST_CANDLES
    assert due == clock() + timedelta(seconds=20)


async def test_the_candle_that_still_grew_is_corrected_once_it_is_over(
    history: CandleHistory, source: ToldCandles, database: Database, clock: HandClock
) -> None:
    follow, growing = CandleFollow(source, history, clock), clock()
    await follow.catch_up(MINUTES, nothing)
    assert (await closes(database))[growing] == Decimal(777)

    clock.advance(minutes=1, seconds=5)
    await follow.catch_up(MINUTES, nothing)

    assert (await closes(database))[growing] == told_candle(growing).close
    # The last one that was here, the one before it, and what came since: one small question.
    assert source.asked[-1] == ("BTC/USDT", "1m", growing - MINUTE, 3)


async def test_whoever_was_away_for_long_catches_up_in_bounded_pages(
    history: CandleHistory, source: ToldCandles, database: Database, clock: HandClock
) -> None:
    follow = CandleFollow(source, history, clock)
    await follow.catch_up(MINUTES, nothing)
    clock.advance(days=1)

    due = await follow.catch_up(MINUTES, nothing)
    assert due == clock()
    due = await follow.catch_up(MINUTES, nothing)

    assert due > clock()
    times = sorted(await closes(database))
    assert len(times) == FIRST_CANDLES + 1440
    assert times[-1] - times[0] == (len(times) - 1) * MINUTE


async def test_only_the_newest_of_many_changed_candles_are_told(
    history: CandleHistory, source: ToldCandles, heard: Heard, clock: HandClock
) -> None:
    await CandleFollow(source, history, clock).catch_up(MINUTES, nothing)

    assert [told.body["open_time"] for told in heard.messages][-1] == "2026-11-21T12:00:00Z"
    assert len(heard.messages) == 10


class Clockwork:
    """Waits without waiting; remembers how long."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def naps() -> Clockwork:
    return Clockwork()


@pytest.fixture
def backfill(
    database: Database,
    source: ToldCandles,
    history: CandleHistory,
    clock: HandClock,
    naps: Clockwork,
) -> CandleBackfilling:
    return CandleBackfilling(
        database=database, source=source, history=history, now=clock, sleep=naps
    )


def untold(_progress: Progress) -> None:
    """Show nobody."""


async def test_a_backfill_fetches_every_closed_candle_once(
    backfill: CandleBackfilling, source: ToldCandles, database: Database, clock: HandClock
) -> None:
    told: list[Progress] = []
    since = clock() - timedelta(days=2)

    filled = await backfill.fill(MINUTES, since, None, told.append)

    assert (filled.candles, filled.left_out, list(filled.gaps)) == (2880, 0, [])
    assert sorted(await closes(database)) == [since + n * MINUTE for n in range(2880)]
    assert [asked[2:] for asked in source.asked] == [
        (since, 1000),
        (since + 1000 * MINUTE, 1000),
        (since + 2000 * MINUTE, 880),
    ]
    assert [each.reached for each in told] == [
        *(since + n * 1000 * MINUTE for n in range(3)),
        clock(),
    ]


async def test_a_backfill_keeps_its_pace(
    backfill: CandleBackfilling, clock: HandClock, naps: Clockwork
) -> None:
    await backfill.fill(MINUTES, clock() - timedelta(days=2), None, untold)

    assert naps.waited == [0.25, 0.25]


async def test_a_broken_off_backfill_goes_on_where_it_was(
    backfill: CandleBackfilling, source: ToldCandles, database: Database, clock: HandClock
) -> None:
    since = clock() - timedelta(days=2)

    def break_off(progress: Progress) -> None:
        if progress.candles == 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await backfill.fill(MINUTES, since, None, break_off)
    source.asked.clear()

    filled = await backfill.fill(MINUTES, since, None, untold)

    assert filled.resumed_at == since + 2000 * MINUTE
    assert [asked[2:] for asked in source.asked] == [(since + 2000 * MINUTE, 880)]
    assert len(await closes(database)) == 2880


async def test_a_finished_backfill_asks_only_for_what_came_since(
    backfill: CandleBackfilling, source: ToldCandles, clock: HandClock
) -> None:
    since = clock() - timedelta(hours=1)
    await backfill.fill(MINUTES, since, None, untold)
    clock.advance(minutes=10, seconds=30)
    source.asked.clear()

    await backfill.fill(MINUTES, since, None, untold)

    assert [asked[2:] for asked in source.asked] == [(since + 60 * MINUTE, 10)]


async def test_what_the_exchange_does_not_have_is_told_as_gaps(
    backfill: CandleBackfilling, source: ToldCandles, clock: HandClock
) -> None:
    since = clock() - timedelta(hours=1)
    source.missing = {since, since + 10 * MINUTE, since + 11 * MINUTE, since + 59 * MINUTE}

    filled = await backfill.fill(MINUTES, since, None, untold)

    assert filled.candles == 56
    assert list(filled.gaps) == [
        Gap(since, since + MINUTE),
        Gap(since + 10 * MINUTE, since + 12 * MINUTE),
        Gap(since + 59 * MINUTE, since + 60 * MINUTE),
    ]


async def test_a_backfill_outlives_an_exchange_that_is_away_for_a_while(
    backfill: CandleBackfilling, source: ToldCandles, clock: HandClock, naps: Clockwork
) -> None:
    source.faults = [MarketFault.AWAY, MarketFault.SLOW, MarketFault.THROTTLED]

    filled = await backfill.fill(MINUTES, clock() - timedelta(hours=1), None, untold)

    assert filled.candles == 60
    assert naps.waited == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(("fault", "tries"), [(MarketFault.AWAY, 8), (MarketFault.NONSENSE, 1)])
async def test_a_backfill_gives_up_in_the_end_and_says_why(
    backfill: CandleBackfilling,
    source: ToldCandles,
    clock: HandClock,
    fault: MarketFault,
    tries: int,
) -> None:
    source.faults = [fault] * 20

    with pytest.raises(ExchangeUnreachable, match=f"binance gave no usable answer.*{fault}"):
        await backfill.fill(MINUTES, clock() - timedelta(hours=1), None, untold)

    assert len(source.asked) == tries


@pytest.mark.parametrize(
    ("series", "days", "until_days", "said"),
    [
        (MINUTES, 0, 0, "no closed candle"),
        (MINUTES, -1, 0, "no closed candle"),
        (MINUTES, 2, 3, "no closed candle"),
        (MINUTES, 401, 0, "kept since 2025-10-17 here"),
        (replace(MINUTES, symbol="NO/SUCH"), 1, 0, "lists no spot market NO/SUCH"),
    ],
)
async def test_a_backfill_of_what_cannot_be_is_refused_with_the_reason(
    backfill: CandleBackfilling,
    clock: HandClock,
    series: Series,
    days: int,
    until_days: int,
    said: str,
) -> None:
    with pytest.raises(CandleRangeRefused, match=said):
        await backfill.fill(
            series, clock() - timedelta(days=days), clock() - timedelta(days=until_days), untold
        )


async def test_what_a_backfill_has_reached_never_falls_back(
    database: Database, backfill: CandleBackfilling, clock: HandClock
) -> None:
    since = clock() - timedelta(hours=2)
    await backfill.fill(MINUTES, since, None, untold)

    await backfill.fill(MINUTES, since, since + timedelta(hours=1), untold)

    async with database.snapshot() as session:
        reached = await session.scalar(text("SELECT reached_at FROM candle_backfills"))
    assert reached == datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def test_a_source_that_is_away_is_the_followers_trouble(
    history: CandleHistory, source: ToldCandles, clock: HandClock
) -> None:
    source.faults = [MarketFault.AWAY]

    with pytest.raises(MarketSourceUnavailable):
        await CandleFollow(source, history, clock).catch_up(MINUTES, nothing)
