"""Every candle, ticker and trade is read off one path, so all of them agree."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.app.sandbox.listings import LISTINGS, Listing
from backend.app.sandbox.memory_world import MemoryWorld
from backend.app.sandbox.prices import DAY_MS, HOUR_MS, LISTED_AT_MS, MINUTE_MS, PricePath

FAR_MS = LISTED_AT_MS + 4 * 365 * DAY_MS
moments = st.integers(LISTED_AT_MS, FAR_MS)
listings = st.sampled_from(LISTINGS)
intervals = st.sampled_from([MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS, 7 * DAY_MS])


def path_of(listing: Listing) -> PricePath:
    return PricePath(b"a seed", listing)


@settings(deadline=None)
@given(listings, moments, intervals)
def test_a_candle_holds_its_own_ends_and_every_price_within(
    listing: Listing, at_ms: int, interval_ms: int
) -> None:
    path = path_of(listing)
    open_ms = at_ms // interval_ms * interval_ms

    candle = path.candle(open_ms, interval_ms, FAR_MS * 2)
    within = path.price(at_ms)

    assert candle.low <= min(candle.open, candle.close, within)
    assert candle.high >= max(candle.open, candle.close, within)
    assert candle.volume > 0
    assert candle.low * candle.volume <= candle.quote_volume <= candle.high * candle.volume


@settings(deadline=None, max_examples=30)
@given(listings, moments, st.sampled_from([(HOUR_MS, MINUTE_MS), (DAY_MS, HOUR_MS)]))
def test_small_candles_make_up_the_large_one(
    listing: Listing, at_ms: int, lengths: tuple[int, int]
) -> None:
    path, (long_ms, short_ms) = path_of(listing), lengths
    open_ms = at_ms // long_ms * long_ms

    whole = path.candle(open_ms, long_ms, FAR_MS * 2)
    parts = [
        path.candle(part_ms, short_ms, FAR_MS * 2)
        for part_ms in range(open_ms, open_ms + long_ms, short_ms)
    ]

    assert whole.high == max(part.high for part in parts)
    assert whole.low == min(part.low for part in parts)
    assert (whole.open, whole.close) == (parts[0].open, parts[-1].close)
    assert whole.volume == sum((part.volume for part in parts), Decimal(0))
    assert all(left.close == right.open for left, right in pairwise(parts))


@given(listings, moments)
def test_a_price_is_a_positive_number_of_ticks_near_the_middle(
    listing: Listing, at_ms: int
) -> None:
    price = path_of(listing).price(at_ms)

    assert price % listing.market.tick_size == 0
    assert listing.middle_price / 2 < price < listing.middle_price * 2


@given(moments)
def test_another_seed_is_another_world_and_the_same_seed_the_same(at_ms: int) -> None:
    listing = LISTINGS[0]

    assert path_of(listing).price(at_ms) == path_of(listing).price(at_ms)
    assert path_of(listing).price(at_ms) != PricePath(b"other", listing).price(at_ms)


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.market.symbol)
@pytest.mark.parametrize("now_ms", [LISTED_AT_MS + DAY_MS + 1, FAR_MS, FAR_MS + 12_345_678])
async def test_a_ticker_agrees_with_the_candles_and_the_book(listing: Listing, now_ms: int) -> None:
    world, symbol = MemoryWorld(b"a seed", lambda: now_ms, ()), listing.market.symbol

    ticker, book = await world.ticker(symbol), await world.order_book(symbol, 50)
    growing = world.candles(symbol, MINUTE_MS, 1)[0]
    hours = [c for c in world.candles(symbol, HOUR_MS, 25) if c.open_ms >= now_ms - DAY_MS]

    assert ticker.last == growing.close
    assert ticker.low <= min(candle.low for candle in hours)
    assert ticker.high >= max(candle.high for candle in hours)
    assert (ticker.bid, ticker.ask) == (book.bids[0].price, book.asks[0].price)
    assert ticker.bid < ticker.last < ticker.ask
    assert [level.price for level in book.asks] == sorted({level.price for level in book.asks})
    assert all(level.amount >= listing.market.min_amount for level in (*book.bids, *book.asks))


def test_no_candle_is_older_than_the_listing_and_none_is_of_the_future() -> None:
    now_ms = LISTED_AT_MS + 10 * DAY_MS + 7
    world = MemoryWorld(b"a seed", lambda: now_ms, ())

    candles = world.candles("BTC/USDT", DAY_MS, 1_000)
    later = world.candles("BTC/USDT", DAY_MS, 5, end_ms=now_ms + 100 * DAY_MS)
    before = world.candles("BTC/USDT", DAY_MS, 5, end_ms=LISTED_AT_MS - 1)

    assert (candles[0].open_ms, len(candles)) == (LISTED_AT_MS, 11)
    assert later[-1].open_ms <= now_ms
    assert before == ()


async def test_public_trades_run_along_the_path_newest_first() -> None:
    now_ms = FAR_MS + 1_234
    world = MemoryWorld(b"a seed", lambda: now_ms, ())

    trades = await world.public_trades("ETH/BTC", 100)
    minute = world.candles("ETH/BTC", MINUTE_MS, 2)

    assert [t.at_ms for t in trades] == sorted((t.at_ms for t in trades), reverse=True)
    assert trades[0].at_ms <= now_ms
    assert all(
        candle.low <= trade.price <= candle.high
        for candle in minute
        for trade in trades
        if candle.open_ms <= trade.at_ms < candle.open_ms + MINUTE_MS
    )
