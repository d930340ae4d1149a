"""Price alerts as their owners make, pause and delete them."""

from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError

from backend.app.config import Settings
from backend.app.enums import AlertCondition
from backend.app.errors import (
    PriceAlertAlreadyTrue,
    PriceAlertNotFound,
    PriceUnknown,
    SymbolUnknown,
    TooManyPriceAlerts,
)
from backend.app.exchanges.market_data import MarketFault
from backend.app.schemas.price_alert_schemas import PriceAlertCreate, PriceAlertUpdate
from backend.app.services.price_alert_service import ALERTS_PER_USER_MAX
from backend.tests.conftest import HandClock
from backend.tests.support.people import Person, person
from backend.tests.support.price_alerts import AlertHouse, alert_house
from backend.tests.support.webhooks import principal_of

PAUSED, WOKEN = PriceAlertUpdate(is_active=False), PriceAlertUpdate(is_active=True)


@pytest.fixture
async def house(
    settings: Settings, database_url: str, clock: HandClock
) -> AsyncIterator[AlertHouse]:
    async with alert_house(settings, database_url, clock, BTC_USDT="50000") as house:
        yield house


@pytest.fixture
async def alice(house: AlertHouse) -> Person:
    return await person(house.services, "alice")


async def test_an_alert_shows_what_was_asked_and_the_price_of_now(
    house: AlertHouse, alice: Person
) -> None:
    made = await house.alert(
        alice, symbol="btc-usdt", condition="percent", threshold="2.50", note="desk"
    )

    assert made.model_dump(mode="json") | {"id": 1, "created_at": None} == {
        "id": 1,
        "symbol": "BTC/USDT",
        "condition": "percent",
        "threshold": "2.5",
        "reference_price": "50000",
        "repeats": False,
        "pause_minutes": 60,
        "note": "desk",
        "is_active": True,
        "created_at": None,
        "triggered_at": None,
        "triggered_price": None,
    }


@pytest.mark.parametrize(
    ("condition", "threshold"), [("above", "50000"), ("above", "40000"), ("below", "50000.01")]
)
async def test_what_is_true_already_is_refused_with_the_price(
    house: AlertHouse, alice: Person, condition: str, threshold: str
) -> None:
    with pytest.raises(PriceAlertAlreadyTrue) as refused:
        await house.alert(alice, condition=condition, threshold=threshold)

    assert refused.value.facts["price"] == "50000"
    assert await house.services.notices.alerts.list_own(principal_of(alice)) == []


async def test_a_symbol_nobody_keeps_is_refused_with_those_that_look_like_it(
    house: AlertHouse, alice: Person
) -> None:
    with pytest.raises(SymbolUnknown) as refused:
        await house.alert(alice, symbol="BTC/USD")

    assert refused.value.facts["near"][0] == "BTC/USDT"


async def test_without_a_price_nobody_knows_which_way_it_has_to_go(
    house: AlertHouse, alice: Person
) -> None:
    with pytest.raises(PriceUnknown):
        await house.alert(alice, symbol="ETH/USDT")


async def test_a_stale_price_is_good_enough_to_wait_from(house: AlertHouse, alice: Person) -> None:
    house.prices.markets.away["binance"] = MarketFault.AWAY
    await house.prices.refresh()

    made = await house.alert(alice)
    await house.keep()

    assert made.is_active
    assert await house.told(alice) == []


async def test_a_user_has_so_many_and_no_more(house: AlertHouse, alice: Person) -> None:
    await house.alert(alice)
    # As many as are left but one, without the work of making them.
    columns = (
        "user_id, symbol, condition, threshold, reference_price, fires_from, repeats,"
        " pause_minutes, is_active, is_armed, heard_until, created_at"
    )
    async with house.services.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            f"INSERT INTO price_alerts ({columns}) SELECT {columns} FROM price_alerts,"
            f" generate_series(1, {ALERTS_PER_USER_MAX - 2})"
        )
    await house.alert(alice)

    with pytest.raises(TooManyPriceAlerts):
        await house.alert(alice)
    assert (await house.alert(await person(house.services, "bob"))).is_active


async def test_a_paused_alert_waits_for_nothing_and_begins_anew_when_it_is_woken(
    house: AlertHouse, alice: Person
) -> None:
    alerts, who = house.services.notices.alerts, principal_of(alice)
    made = await house.alert(alice, condition="percent", threshold="10")
    paused = await alerts.update(who, made.id, PAUSED)
    await house.price(BTC_USDT="56000")
    await house.keep()

    woken = await alerts.update(who, made.id, WOKEN)
    await house.keep()

    assert (paused.is_active, woken.is_active) == (False, True)
    assert (str(woken.reference_price.normalize()), await house.told(alice)) == ("5.6E+4", [])


async def test_an_alert_is_not_woken_where_it_would_fire_at_once(
    house: AlertHouse, alice: Person
) -> None:
    alerts, who = house.services.notices.alerts, principal_of(alice)
    made = await house.alert(alice)
    await alerts.update(who, made.id, PAUSED)
    await house.price(BTC_USDT="60000")

    with pytest.raises(PriceAlertAlreadyTrue):
        await alerts.update(who, made.id, WOKEN)


async def test_a_deleted_alert_is_gone_and_anothers_is_not_there(
    house: AlertHouse, alice: Person
) -> None:
    alerts, bob = house.services.notices.alerts, await person(house.services, "bob")
    made = await house.alert(alice)

    for ask in (alerts.get, alerts.delete):
        with pytest.raises(PriceAlertNotFound):
            await ask(principal_of(bob), made.id)
    with pytest.raises(PriceAlertNotFound):
        await alerts.update(principal_of(bob), made.id, PAUSED)
    await alerts.delete(principal_of(alice), made.id)

    await house.price(BTC_USDT="60000")
    await house.keep()
    assert await alerts.list_own(principal_of(alice)) == []
    assert await house.told(alice) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 50000},
        {"threshold": 0.1},
        {"threshold": "0"},
        {"threshold": "0.000"},
        {"threshold": "-1"},
        {"threshold": "1e5"},
        {"threshold": "NaN"},
        {"threshold": "Infinity"},
        {"threshold": "1" * 19},
        {"threshold": "0." + "1" * 19},
        {"threshold": "٥٠"},
        {"threshold": None},
        {"condition": "percent", "threshold": "0.001"},
        {"condition": "percent", "threshold": "1000.5"},
        {"condition": "sideways"},
        {"pause_minutes": 0},
        {"pause_minutes": 10_081},
        {"symbol": ""},
        {"symbol": "B" * 42},
        {"note": "line\nbreak"},
        {"note": "n" * 201},
        {"unknown": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    fine = {"symbol": "BTC/USDT", "condition": "above", "threshold": "60000"}

    PriceAlertCreate(**fine)
    with pytest.raises(ValidationError):
        PriceAlertCreate(**{**fine, **wrong})


@pytest.mark.parametrize("condition", AlertCondition)
async def test_the_greatest_numbers_are_held(
    house: AlertHouse, alice: Person, condition: AlertCondition
) -> None:
    threshold = {
        AlertCondition.ABOVE: "9" * 18 + "." + "9" * 18,
        AlertCondition.BELOW: "0." + "0" * 17 + "1",
        AlertCondition.PERCENT: "1000",
    }[condition]

    made = await house.alert(alice, condition=condition, threshold=threshold)

    assert made.model_dump(mode="json")["threshold"] == threshold
