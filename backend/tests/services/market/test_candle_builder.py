"""Trades become candles: the same ones as by plain reckoning, in whatever order they come."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from backend.app.candle_numbers import Trade
from backend.app.channel_message import Message
from backend.app.database import Database
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.services.market.candle_builder import CandleBuilder, Taken
from backend.app.services.market.time_storage import TimeStorage
from backend.tests.conftest import HandClock
from backend.tests.support.examples import one_in
from backend.tests.support.reference_candles import reference, stored, synthetic_trades

TODAY = datetime(2026, 11, 21, tzinfo=UTC)


def a_trade(number: int, at: datetime, price: str = "100", symbol: str = "BTC/USDT") -> Trade:
    return Trade(symbol, number, at, Decimal(price), Decimal(2), Decimal(price) * 2)


async def emptied(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("TRUNCATE ticks, candles, channel_heads, channel_messages"))


async def test_candles_of_ten_thousand_trades_are_those_of_plain_reckoning(
    builder: CandleBuilder, database: Database
) -> None:
    begins, symbols = TODAY - timedelta(days=2), ("BTC/USDT", "ETH/USDT")
    trades = list(synthetic_trades(20261121, 10_000, begins, timedelta(days=2), symbols))

    taken = await builder.take(trades)

    assert taken == Taken(new=10_000)
    assert await stored(database) == reference(trades)


@st.composite
def split_trades(draw: st.DrawFn) -> tuple[list[Trade], list[list[Trade]]]:
    """A few trades near the borders of candles, and some way to hand them over."""
    seconds = st.sampled_from((0, 0.000001, 59.999999, 60, 299, 300, 3599.5, 3600, 14399, 14400))
    facts = draw(
        st.lists(
            st.tuples(seconds, st.integers(1, 10**9), st.sampled_from("AB")),
            min_size=1,
            max_size=30,
        )
    )
    trades = [
        a_trade(number, TODAY - timedelta(days=1) + timedelta(seconds=second))._replace(
            symbol=f"{name}/USDT",
            price=Decimal(cents) / 100,
        )
        for number, (second, cents, name) in enumerate(facts)
    ]
    told = draw(st.permutations([*trades, *draw(st.lists(st.sampled_from(trades), max_size=5))]))
    cuts = sorted(draw(st.sets(st.integers(0, len(told)), max_size=5)) | {0, len(told)})
    return trades, [list(told[a:b]) for a, b in pairwise(cuts)]


@settings(
    max_examples=one_in(2),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(split_trades())
async def test_any_batches_in_any_order_give_the_same_candles(
    builder: CandleBuilder, database: Database, drawn: tuple[list[Trade], list[list[Trade]]]
) -> None:
    trades, batches = drawn
    await emptied(database)

    taken = sum([await builder.take(batch) for batch in batches], Taken())

    assert taken.new == len(trades)
    assert taken.new + taken.known == sum(map(len, batches))
    assert await stored(database) == reference(trades)


async def test_a_late_trade_corrects_its_candles_and_no_others(
    builder: CandleBuilder, database: Database
) -> None:
    first, second = a_trade(2, TODAY + timedelta(hours=1)), a_trade(3, TODAY + timedelta(hours=9))
    await builder.take([first, second])
    late = a_trade(1, TODAY + timedelta(minutes=59, seconds=59), "50")

    await builder.take([late])

    assert await stored(database) == reference([first, second, late])


async def test_a_trade_told_twice_counts_once(builder: CandleBuilder, database: Database) -> None:
    trade = a_trade(1, TODAY)
    await builder.take([trade, trade])

    assert await builder.take([trade]) == Taken(known=1)
    assert await stored(database) == reference([trade])


async def test_trades_from_before_ticks_are_kept_are_counted_and_left_out(
    builder: CandleBuilder, database: Database
) -> None:
    # Seven days back from the 21st at noon begins the 14th: the whole day, or none of it.
    kept = a_trade(1, datetime(2026, 11, 14, tzinfo=UTC))
    too_old = a_trade(2, datetime(2026, 11, 13, 23, 59, 59, tzinfo=UTC))

    assert await builder.take([kept, too_old]) == Taken(new=1, too_old=1)
    assert await stored(database) == reference([kept])


async def test_trades_that_are_yet_to_come_are_counted_and_left_out(
    builder: CandleBuilder, database: Database, clock: HandClock
) -> None:
    assert await builder.take([a_trade(1, clock() + timedelta(hours=1))]) == Taken(in_future=1)
    assert await stored(database) == {}


async def test_a_time_without_trades_has_no_candle(
    builder: CandleBuilder, database: Database
) -> None:
    trades = [a_trade(1, TODAY), a_trade(2, TODAY + timedelta(minutes=3))]
    await builder.take(trades)

    minutes = [at.minute for _, interval, at in await stored(database) if interval == "1m"]
    assert sorted(minutes) == [0, 3]


async def test_two_builders_at_once_miss_nothing_of_each_other(
    builder: CandleBuilder, database: Database, storage: TimeStorage, clock: HandClock
) -> None:
    begins = TODAY + timedelta(hours=1)
    trades = list(synthetic_trades(7, 400, begins, timedelta(minutes=2), ("BTC/USDT",)))
    random.Random(7).shuffle(trades)
    heard = Heard()
    other = CandleBuilder(database, storage, heard, clock)

    async with asyncio.TaskGroup() as group:
        for start in range(0, 400, 40):
            taker = builder if start % 80 else other
            group.create_task(taker.take(trades[start : start + 40]))

    assert await stored(database) == reference(trades)


class Heard:
    """Remembers what was announced."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def announce(self, messages: Sequence[Message]) -> None:
        self.messages += messages


async def test_changed_candles_are_told_after_they_were_written(
    database: Database, storage: TimeStorage, clock: HandClock
) -> None:
    heard = Heard()
    builder = CandleBuilder(database, storage, heard, clock)
    await builder.take([a_trade(1, TODAY, "100"), a_trade(2, TODAY + timedelta(seconds=5), "101")])

    minute = next(each for each in heard.messages if each.channel == "candles:BTC/USDT:1m")
    assert dict(minute.body) == {
        "exchange": "strongroom",
        "open_time": "2026-11-21T00:00:00Z",
        "open": "100",
        "high": "101",
        "low": "100",
        "close": "101",
        "volume": "4",
        "quote_volume": "402",
        "trades": 2,
    }
    assert len(heard.messages) == 6
    async with database.snapshot() as session:
        assert await ChannelRepository(session).after({"candles:BTC/USDT:1m": 0}, 10) == [minute]


async def test_what_changes_nothing_is_not_told(
    database: Database, storage: TimeStorage, clock: HandClock
) -> None:
    heard = Heard()
    builder = CandleBuilder(database, storage, heard, clock)
    await builder.take([a_trade(1, TODAY)])
    heard.messages.clear()

    await builder.take([a_trade(1, TODAY)])

    assert heard.messages == []


def test_no_candles_are_built_for_an_exchange_that_tells_its_own(
    database: Database, storage: TimeStorage, clock: HandClock
) -> None:
    with pytest.raises(ValueError, match="contradict"):
        CandleBuilder(database, storage, Heard(), clock, exchange="binance")
