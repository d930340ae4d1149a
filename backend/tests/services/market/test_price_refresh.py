"""Prices as they are refreshed, kept, answered and told to listeners, on a real database."""

import math
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.channel_message import Message
from backend.app.database import Database
from backend.app.errors import MarketDataUnavailable, PriceUnknown
from backend.app.exchanges.market_data import BadQuoteReason, MarketFault, Quote
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.services.market.price_observer import PriceChange
from backend.app.services.market.price_refresh import PriceRefresh
from backend.app.services.market.refresher_lock import RefresherLockLost
from backend.tests.conftest import HandClock
from backend.tests.support.examples import one_in
from backend.tests.support.fake_markets import listing
from backend.tests.support.price_house import PriceHouse, price_house

BTC = "BTC/USDT"


@pytest.fixture
async def house(database_url: str, clock: HandClock) -> AsyncIterator[PriceHouse]:
    async with price_house(
        database_url, clock, symbols=["BTCUSDT", "eth-usdt"], price_fallback_exchange="okx"
    ) as house:
        house.markets.lists["okx"] = [listing("BTC/USDT"), listing("ETH/USDT")]
        house.markets.tell(BTC_USDT="64000.10", ETH_USDT="3200")
        yield house


async def test_a_price_is_answered_with_its_source_and_its_age_when_it_is_asked(
    house: PriceHouse, clock: HandClock
) -> None:
    await house.refresh()
    clock.advance(seconds=7)

    assert (await house.prices())[BTC] == {
        "symbol": "BTC/USDT",
        "price": "64000.1",
        "source": "binance",
        "as_of": "2026-11-21T12:00:00.000Z",
        "age_ms": 7000,
        "stale": False,
        "stale_because": None,
    }


async def test_before_any_source_has_answered_nothing_is_known_and_nothing_made_up(
    house: PriceHouse,
) -> None:
    house.markets.away = {"binance": MarketFault.AWAY, "okx": MarketFault.SLOW}
    await house.refresh()

    with pytest.raises(MarketDataUnavailable):
        await house.services.market.prices.list_json()
    with pytest.raises(MarketDataUnavailable):
        await house.services.market.prices.one_json("BTCUSDT")


async def test_a_symbol_nobody_priced_is_missing_in_the_list_and_not_found_alone(
    house: PriceHouse,
) -> None:
    house.markets.tell(ETH_USDT=BadQuoteReason.NOT_A_PRICE)
    await house.refresh()

    assert list(await house.prices()) == [BTC]
    assert await house.missing() == ["ETH/USDT"]
    with pytest.raises(PriceUnknown):
        await house.services.market.prices.one_json("ETHUSDT")


async def test_a_symbol_that_no_source_lists_is_missing_by_the_name_it_was_given(
    database_url: str, clock: HandClock
) -> None:
    async with price_house(database_url, clock, symbols=["BTCUSDT", "NOPE-USD"]) as house:
        house.markets.tell(BTC_USDT="64000")
        await house.refresh()

        assert await house.missing() == ["NOPE-USD"]


@pytest.mark.parametrize(
    ("nonsense", "because"),
    [
        (BadQuoteReason.NOT_A_PRICE, "no_price"),
        (BadQuoteReason.MISSING, "no_price"),
        ("0.0000000000000000001", "no_price"),
        ("640001", "quarantined"),
        ("640.001", "quarantined"),
    ],
)
async def test_nonsense_leaves_the_last_price_standing_and_stale(
    house: PriceHouse, clock: HandClock, nonsense: str | BadQuoteReason, because: str
) -> None:
    await house.refresh()
    house.markets.tell(BTC_USDT=nonsense)
    clock.advance(seconds=60)
    await house.refresh()

    shown = (await house.prices())[BTC]
    assert (shown["price"], shown["age_ms"]) == ("64000.1", 60_000)
    assert (shown["stale"], shown["stale_because"]) == (True, because)


async def test_a_source_that_is_away_is_made_up_for_by_the_fallback_and_then_by_nobody(
    house: PriceHouse, clock: HandClock
) -> None:
    await house.refresh()
    house.markets.away["binance"] = MarketFault.SLOW
    house.markets.tell("okx", BTC_USDT="64001", ETH_USDT="3201")
    clock.advance(seconds=60)
    await house.refresh()
    by_fallback = (await house.prices())[BTC]

    house.markets.away["okx"] = MarketFault.NONSENSE
    clock.advance(seconds=60)
    await house.refresh()
    by_nobody = (await house.prices())[BTC]

    assert (by_fallback["price"], by_fallback["source"]) == ("64001", "okx")
    assert not by_fallback["stale"]
    assert (by_nobody["price"], by_nobody["source"]) == ("64001", "okx")
    assert (by_nobody["age_ms"], by_nobody["stale_because"]) == (60_000, "source_away")


async def test_the_fallback_is_asked_only_for_what_is_in_doubt(house: PriceHouse) -> None:
    await house.refresh()
    house.markets.asked.clear()
    house.markets.tell(BTC_USDT="640001")
    house.markets.tell("okx", BTC_USDT="64002")
    await house.refresh()

    assert house.markets.asked == [("binance", (BTC, "ETH/USDT")), ("okx", (BTC,))]
    assert (await house.prices())[BTC]["price"] == "64002"


async def test_a_price_that_nobody_refreshes_grows_old(house: PriceHouse, clock: HandClock) -> None:
    await house.refresh()
    clock.advance(seconds=180)
    young = (await house.prices())[BTC]
    clock.advance(seconds=1)
    old = (await house.prices())[BTC]

    assert (young["stale"], young["age_ms"]) == (False, 180_000)
    assert (old["stale"], old["stale_because"], old["age_ms"]) == (True, "old", 181_000)


async def test_a_market_that_stands_still_grows_old_although_it_is_asked(
    house: PriceHouse, clock: HandClock
) -> None:
    house.markets.tell(BTC_USDT=Quote(BTC, Decimal(64000), clock()))
    for _ in range(4):
        await house.refresh()
        clock.advance(seconds=60)

    assert (await house.prices())[BTC]["stale_because"] == "old"


async def test_listeners_get_one_message_a_refresh_with_what_changed(
    house: PriceHouse, clock: HandClock
) -> None:
    await house.refresh()
    clock.advance(seconds=60)
    await house.refresh()
    house.markets.tell(ETH_USDT="3300")
    await house.refresh()
    house.markets.away = {"binance": MarketFault.AWAY, "okx": MarketFault.AWAY}
    await house.refresh()

    first, second, third = await house.messages()
    assert [price["symbol"] for price in first.body["prices"]] == [BTC, "ETH/USDT"]
    assert second.body == {
        "prices": [
            {
                "symbol": "ETH/USDT",
                "price": "3300",
                "source": "binance",
                "as_of": "2026-11-21T12:01:00.000Z",
                "stale": False,
                "stale_because": None,
            }
        ]
    }
    assert {price["stale_because"] for price in third.body["prices"]} == {"source_away"}
    assert (first.seq, second.seq, third.seq) == (1, 2, 3)


class Heard:
    """An announcer that remembers, and an observer that may refuse."""

    def __init__(self) -> None:
        self.announced: list[Message] = []
        self.changes: list[PriceChange] = []
        self.refuses = False

    async def announce(self, messages: Sequence[Message]) -> None:
        self.announced.extend(messages)

    async def on_prices(
        self, session: AsyncSession, changes: Sequence[PriceChange]
    ) -> Sequence[Message]:
        self.changes.extend(changes)
        told = await ChannelRepository(session).publish("notifications:7", [{"n": len(changes)}])
        if self.refuses:
            raise RuntimeError("the observer refuses")
        return told


def _with_listeners(house: PriceHouse, heard: Heard) -> PriceRefresh:
    return PriceRefresh(
        database=house.services.database,
        source=house.markets,
        exchanges=("binance",),
        board=house.services.market.board,
        announcer=heard,
        observers=(heard.on_prices,),
        now=house.markets.now,
    )


async def test_observers_take_part_in_the_transaction_and_are_announced_after_it(
    house: PriceHouse,
) -> None:
    await house.refresh()
    heard = Heard()
    refresh = _with_listeners(house, heard)
    house.markets.tell(BTC_USDT="65000")

    await refresh.refresh(house.refresher._lock.confirm)

    assert [(each.symbol, each.previous, each.price) for each in heard.changes] == [
        (BTC, Decimal("64000.1"), Decimal(65000))
    ]
    assert [message.channel for message in heard.announced] == ["notifications:7", "prices"]

    heard.refuses = True
    house.markets.tell(BTC_USDT="66000")
    with pytest.raises(RuntimeError):
        await refresh.refresh(house.refresher._lock.confirm)

    assert (await house.prices())[BTC]["price"] == "65000"
    assert len(heard.announced) == 2


async def test_whoever_lost_the_lock_writes_nothing(house: PriceHouse, database: Database) -> None:
    await house.refresh()
    async with database.transaction() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = 'strongroom refresher'"
                " AND datname = current_database()"
            )
        )
    house.markets.tell(BTC_USDT="65000")

    with pytest.raises(RefresherLockLost):
        await house.refresher._prices.refresh(house.refresher._lock.confirm)

    assert (await house.prices())[BTC]["price"] == "64000.1"
    await house.refresh()
    assert (await house.prices())[BTC]["price"] == "65000"


_TOLD = st.one_of(
    st.sampled_from(list(BadQuoteReason)),
    st.decimals("0.0001", "100000", places=4).map(str),
)


@settings(
    max_examples=one_in(3),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.tuples(_TOLD, _TOLD, st.sets(st.sampled_from(["binance", "okx"]))),
        min_size=1,
        max_size=8,
    )
)
async def test_no_price_is_ever_answered_that_no_source_told(
    house: PriceHouse,
    clock: HandClock,
    rounds: list[tuple[str | BadQuoteReason, str | BadQuoteReason, set[str]]],
) -> None:
    house.markets.away = {}
    house.refresher._reference_due = -math.inf
    await house.refresh()
    async with house.services.database.transaction() as session:
        await session.execute(text("TRUNCATE latest_prices"))
    await house.services.market.board.forget()
    ever: set[tuple[str, Decimal, str]] = set()

    for first, second, away in rounds:
        house.markets.away = dict.fromkeys(away, MarketFault.AWAY)
        for exchange, told in (("binance", first), ("okx", second)):
            house.markets.tell(exchange, BTC_USDT=told)
            if not isinstance(told, BadQuoteReason) and exchange not in away:
                ever.add((exchange, Decimal(told), _shown(clock)))
        await house.refresh()
        shown = (await house.prices()).get(BTC)
        if shown is not None:
            assert (shown["source"], Decimal(shown["price"]), shown["as_of"]) in ever
        clock.moment += timedelta(seconds=60)


def _shown(clock: HandClock) -> str:
    return clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
