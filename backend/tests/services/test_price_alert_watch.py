"""When price alerts fire: once for each time the price gets there, whoever evaluates."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from backend.app.config import Settings
from backend.app.enums import NotificationKind
from backend.app.exchanges.market_data import MarketFault
from backend.app.models.price_alert import PriceAlert
from backend.app.repositories.price_news_repository import NEWS_WAITING_MAX
from backend.tests.conftest import HandClock
from backend.tests.support.people import Person, person
from backend.tests.support.price_alerts import AlertHouse, alert_house, change, watch
from backend.tests.support.webhook_receiver import receiving
from backend.tests.support.webhooks import carry, principal_of, rows, told, webhook


@pytest.fixture
async def house(
    settings: Settings, database_url: str, clock: HandClock
) -> AsyncIterator[AlertHouse]:
    async with alert_house(settings, database_url, clock) as house:
        yield house


@pytest.fixture
async def alice(house: AlertHouse) -> Person:
    return await person(house.services, "alice")


async def go(house: AlertHouse, clock: HandClock, *prices: str, minutes: int = 5) -> None:
    """Let the price take these values, some minutes apart."""
    for price in prices:
        clock.advance(minutes=minutes)
        await house.price(BTC_USDT=price)
        await house.keep()


async def test_an_alert_fires_when_the_price_gets_there(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    made = await house.alert(alice, note="sell half")

    await go(house, clock, "59999.99", "60000")

    [facts] = await house.told(alice)
    shown = await house.services.notices.alerts.get(principal_of(alice), made.id)
    assert facts == {
        "alert_id": made.id,
        "symbol": "BTC/USDT",
        "condition": "above",
        "threshold": "60000",
        "reference_price": "50000",
        "price": "60000",
        "as_of": clock().isoformat(),
        "note": "sell half",
    }
    assert (shown.is_active, shown.triggered_at) == (False, clock())


@pytest.mark.parametrize(
    ("members", "prices", "fires"),
    [
        ({"condition": "below", "threshold": "45000"}, ("46000", "44000", "43000"), ["44000"]),
        ({"condition": "percent", "threshold": "5"}, ("52000", "52500"), ["52500"]),
        ({"condition": "percent", "threshold": "5"}, ("48000", "47500", "47000"), ["47500"]),
        ({"condition": "above", "threshold": "60000"}, ("61000", "50000", "62000"), ["61000"]),
    ],
)
async def test_an_alert_fires_once(
    house: AlertHouse,
    alice: Person,
    clock: HandClock,
    members: dict[str, str],
    prices: tuple[str, ...],
    fires: list[str],
) -> None:
    await house.alert(alice, **members)

    await go(house, clock, *prices)

    assert [facts["price"] for facts in await house.told(alice)] == fires


async def test_one_that_repeats_fires_again_once_the_price_has_been_back(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice, repeats=True, pause_minutes=1)

    await go(house, clock, "60000", "61000", "59999", "60001", "60000", "50000", "70000")

    fired = [facts["price"] for facts in await house.told(alice)]
    assert fired == ["60000", "60001", "70000"]


async def test_no_two_of_one_alert_are_nearer_than_its_pause(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice, repeats=True, pause_minutes=30)

    await go(house, clock, "60000", "50000", "60001", "50000", "60002", "60003", "60004", "60005")

    # It got there again too soon; half an hour later it is still there, and that is told.
    fired = [facts["price"] for facts in await house.told(alice)]
    assert fired == ["60000", "60004"]


async def test_percent_that_repeats_goes_on_from_where_it_was_told(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice, condition="percent", threshold="10", repeats=True, pause_minutes=1)

    await go(house, clock, "55000", "56000", "60499", "60500", "54450", "54449")

    fired = [(each["reference_price"], each["price"]) for each in await house.told(alice)]
    assert fired == [("50000", "55000"), ("55000", "60500"), ("60500", "54450")]


async def test_half_the_price_is_as_far_down_as_percent_goes(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice, condition="percent", threshold="100")

    await go(house, clock, "40000", "30000", "25000")

    assert await house.told(alice) == []


async def test_a_quarantined_price_fires_nothing(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice)

    await go(house, clock, "500000")

    assert await house.told(alice) == []


async def test_a_source_that_is_away_fires_nothing(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice)
    house.prices.markets.away["binance"] = MarketFault.AWAY

    await go(house, clock, "60000")

    assert await house.told(alice) == []


async def test_other_symbols_fire_nothing(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice, symbol="ETH/USDT", threshold="3100")

    await go(house, clock, "60000", "3200")

    assert await house.told(alice) == []


async def test_a_price_without_alerts_leaves_nothing_to_do(house: AlertHouse) -> None:
    await house.price(BTC_USDT="51000")

    assert await rows(house.services.database, "SELECT 1 FROM price_news") == []


async def test_a_crossing_that_is_over_when_it_is_evaluated_is_told_all_the_same(
    house: AlertHouse, alice: Person
) -> None:
    await house.alert(alice)
    await house.price(BTC_USDT="60000")
    await house.price(BTC_USDT="50000")

    await house.keep()

    assert [facts["price"] for facts in await house.told(alice)] == ["60000"]


async def test_an_alert_hears_nothing_from_before_it_was_made(
    house: AlertHouse, alice: Person
) -> None:
    bob = await person(house.services, "bob")
    await house.alert(bob)
    await house.price(BTC_USDT="60000")
    await house.price(BTC_USDT="50000")

    await house.alert(alice)
    await house.keep()

    assert (len(await house.told(bob)), await house.told(alice)) == (1, [])


async def test_evaluators_that_race_tell_everybody_once(
    house: AlertHouse, clock: HandClock
) -> None:
    people = [await person(house.services, f"somebody{n}") for n in range(6)]
    for each in people:
        for n in range(5):
            await house.alert(each, threshold=str(60_000 + n))
    for n, price in enumerate(("60002", "50000", "60004", "50000")):
        await change(house.services, price, clock() + timedelta(minutes=n))

    async def evaluate() -> None:
        # Whoever finds somebody else at work comes back, as the worker does.
        steps = watch(house.services, 3)
        while await steps.hold_next() or await left():
            await asyncio.sleep(0)

    async def left() -> bool:
        return bool(await rows(house.services.database, "SELECT 1 FROM price_news"))

    await asyncio.gather(*(evaluate() for _ in range(4)))

    for each in people:
        fired = [(facts["threshold"], facts["price"]) for facts in await house.told(each)]
        assert sorted(fired) == [
            ("60000", "60002"),
            ("60001", "60002"),
            ("60002", "60002"),
            ("60003", "60004"),
            ("60004", "60004"),
        ]


async def test_two_refreshers_that_write_the_same_crossing_tell_it_once(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice)

    await asyncio.gather(*(change(house.services, "60000", clock()) for _ in range(2)))
    await house.keep()

    assert len(await house.told(alice)) == 1


async def test_an_alert_its_owner_is_changing_is_told_when_that_is_over(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    made, other = await house.alert(alice), await house.alert(await person(house.services, "bob"))
    await change(house.services, "60000", clock())

    async with house.services.database.transaction() as session:
        await session.get(PriceAlert, made.id, with_for_update=True)
        await house.keep()
        meanwhile = await rows(
            house.services.database, "SELECT id FROM price_alerts WHERE is_active"
        )
    await house.keep()

    assert other.id not in [row.id for row in meanwhile]
    assert len(await house.told(alice)) == 1


async def test_when_too_many_prices_wait_no_more_are_written(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    await house.alert(alice)
    async with house.services.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            "INSERT INTO price_news (symbol, price, at) SELECT 'BTC/USDT', 50001, now()"
            f" FROM generate_series(1, {NEWS_WAITING_MAX})"
        )

    await change(house.services, "60000", clock())

    [waiting] = await rows(house.services.database, "SELECT count(*) AS n FROM price_news")
    assert waiting.n == NEWS_WAITING_MAX


async def test_what_fires_is_found_by_an_index_among_many(house: AlertHouse, alice: Person) -> None:
    async with house.services.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            "INSERT INTO price_alerts (user_id, symbol, condition, threshold, reference_price,"
            " fires_from, repeats, pause_minutes, is_active, is_armed, heard_until, created_at)"
            f" SELECT {alice.user_id}, 'BTC/USDT', 'above', 60000 + n, 50000, 60000 + n, false,"
            " 60, true, true, 0, now() FROM generate_series(1, 20000) AS n"
        )
        await connection.exec_driver_sql("ANALYZE price_alerts")
        plan = await connection.exec_driver_sql(
            "EXPLAIN SELECT id FROM price_alerts WHERE is_active AND is_armed"
            " AND symbol = 'BTC/USDT' AND heard_until < 9 AND fires_from <= 60003 LIMIT 500"
        )
        text = "\n".join(row[0] for row in plan)

    await house.price(BTC_USDT="60003")
    await house.keep()

    assert "ix_price_alerts_symbol_is_armed_fires_from" in text
    assert len(await house.told(alice)) == 3


async def test_a_price_alert_reaches_a_webhook(
    house: AlertHouse, alice: Person, clock: HandClock
) -> None:
    async with receiving() as receiver:
        await webhook(house.services, alice, receiver.url, kinds=[NotificationKind.PRICE_ALERT])
        await house.alert(alice)
        await go(house, clock, "60000")

        await carry(house.services)

    [came] = receiver.received
    assert told(came)["data"]["facts"]["price"] == "60000"
