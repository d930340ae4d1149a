"""The card market over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.container import Container
from backend.app.services.card_service import CARD_SHARD
from backend.tests.conftest import HandClock
from backend.tests.support.people import Person, person
from backend.tests.support.venue import led, running

ORDERS = "/api/v1/cards/orders"


@pytest.fixture
async def market(services: Container) -> AsyncIterator[None]:
    async with running(services.engines[CARD_SHARD]) as engine:
        await led(engine)
        yield


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


@pytest.fixture
async def bob(services: Container) -> Person:
    return await person(services, "bob")


async def place(client: AsyncClient, trader: Person, **order: Any) -> dict[str, Any]:
    body = {"card_id": 1, "side": "buy", "price": "2.50", **order}
    answer = await client.post(ORDERS, json=body, headers=trader.headers)
    return {**answer.json(), "http": answer.status_code}


async def test_the_four_cards_are_there(client: AsyncClient) -> None:
    cards = (await client.get("/api/v1/cards")).json()

    assert [(card["id"], card["name"]) for card in cards] == [
        (1, "Pikachu"),
        (2, "Charmander"),
        (3, "Bulbasaur"),
        (4, "Squirtle"),
    ]
    assert cards[0] == {
        "id": 1,
        "symbol": "PIKACHU",
        "name": "Pikachu",
        "quote_asset": "USD",
        "price_tick": "0.01",
        "price_min": "1.00",
        "price_max": "10.00",
    }


@pytest.mark.usefixtures("market")
async def test_two_orders_meet_at_the_price_of_the_one_that_rested(
    client: AsyncClient, alice: Person, bob: Person
) -> None:
    sold = await place(client, alice, side="sell", price="2.4")
    bought = await place(client, bob, price="2.50")

    trades = (await client.get("/api/v1/cards/1/trades")).json()
    mine = (await client.get(ORDERS, headers=alice.headers)).json()
    assert (sold["http"], sold["status"], bought["status"]) == (201, "open", "filled")
    assert [(each["price"], each["taker_side"]) for each in trades] == [("2.40", "buy")]
    assert [(each["id"], each["status"]) for each in mine] == [(sold["id"], "filled")]


@pytest.mark.usefixtures("market")
async def test_the_book_shows_what_waits(client: AsyncClient, alice: Person) -> None:
    await place(client, alice, price="2.50")
    await place(client, alice, price="2.50")
    await place(client, alice, side="sell", price="10.00")

    assert (await client.get("/api/v1/cards/1/book")).json() == {
        "card_id": 1,
        "bids": [{"price": "2.50", "quantity": 2}],
        "asks": [{"price": "10.00", "quantity": 1}],
    }


@pytest.mark.usefixtures("market")
async def test_a_trader_sees_the_latest_fifty_of_their_own_orders(
    client: AsyncClient, alice: Person, bob: Person
) -> None:
    await place(client, bob)
    placed = [(await place(client, alice))["id"] for _ in range(52)]

    listed = (await client.get(ORDERS, headers=alice.headers)).json()
    foreign = await client.get(f"{ORDERS}/{placed[0]}", headers=bob.headers)
    absent = await client.get(f"{ORDERS}/{2**40}", headers=bob.headers)

    assert [each["id"] for each in listed] == placed[:1:-1]
    assert foreign.status_code == absent.status_code == 404
    assert foreign.json()["code"] == absent.json()["code"] == "order-not-found"


@pytest.mark.usefixtures("market")
async def test_an_order_sent_twice_under_one_id_is_placed_once(
    client: AsyncClient, alice: Person
) -> None:
    first = await place(client, alice, client_order_id="a-1")
    again = await place(client, alice, client_order_id="a-1", price="2.5")
    other = await place(client, alice, client_order_id="a-1", price="2.51")

    assert first == again
    assert (other["http"], other["code"]) == (409, "client-order-id-taken")
    assert len((await client.get(ORDERS, headers=alice.headers)).json()) == 1


@pytest.mark.usefixtures("market")
async def test_an_open_order_is_taken_back_and_a_finished_one_is_not(
    client: AsyncClient, alice: Person, bob: Person
) -> None:
    placed = (await place(client, alice))["id"]

    foreign = await client.delete(f"{ORDERS}/{placed}", headers=bob.headers)
    cancelled = await client.delete(f"{ORDERS}/{placed}", headers=alice.headers)
    again = await client.delete(f"{ORDERS}/{placed}", headers=alice.headers)
    older = await client.get(f"/apis/v1/orders/{placed}", headers=alice.headers)
    sold = await place(client, bob, side="sell")

    assert (foreign.status_code, foreign.json()["code"]) == (404, "order-not-found")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (again.status_code, again.json()["code"]) == (409, "order-not-open")
    assert older.json()["data"]["status"] == 3
    assert sold["status"] == "open"


BAD = [
    *[({"price": price}, 422, "validation") for price in ("", "-1", "1e3", "NaN", "Infinity")],
    *[({"price": price}, 422, "validation") for price in (" 2.50", "2.50\n", "2,50", "0x2", "٢")],
    *[({"price": price}, 422, "validation") for price in (2.5, 2, None, [], "9" * 400)],
    *[({"price": price}, 422, "order-refused") for price in ("0", "0.99", "10.01", "999999999")],
    *[({"price": price}, 422, "order-refused") for price in ("2.505", "2.000000001")],
    *[({"card_id": card}, 404, "card-unknown") for card in (5, 2**31 - 1)],
    *[({"card_id": card}, 422, "validation") for card in (0, -1, "1", 1.5, True, 2**31, None)],
    *[({"side": side}, 422, "validation") for side in ("", "BUY", "hold", 1, None)],
    *[({"client_order_id": name}, 422, "validation") for name in ("", "a b", "a" * 65, "é", 7)],
    ({"quantity": 2}, 422, "validation"),
]


@pytest.mark.usefixtures("market")
async def test_nonsense_is_refused_precisely_and_changes_nothing(
    client: AsyncClient, alice: Person
) -> None:
    wrong = []

    for order, status, code in BAD:
        answer = await place(client, alice, **order)
        if (answer["http"], answer.get("code")) != (status, code):
            wrong.append((order, answer["http"], answer.get("code")))

    assert wrong == []
    assert (await client.get(ORDERS, headers=alice.headers)).json() == []
    # The engine has stopped for none of it.
    assert (await place(client, alice))["http"] == 201


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("price", "rule"), [("2.505", "price_tick"), ("0.99", "price_range"), ("10.01", "price_range")]
)
async def test_a_refused_price_names_the_rule_it_breaks(
    client: AsyncClient, alice: Person, price: str, rule: str
) -> None:
    assert (await place(client, alice, price=price))["rule"] == rule


@pytest.mark.usefixtures("market")
async def test_a_card_at_rest_takes_no_orders_and_lets_them_go(
    client: AsyncClient, services: Container, clock: HandClock, alice: Person
) -> None:
    placed = await place(client, alice)
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE instruments SET is_active = false WHERE id = 1"))
    clock.advance(seconds=5)

    refused = await place(client, alice)
    other = await place(client, alice, card_id=2)
    cancelled = await client.delete(f"{ORDERS}/{placed['id']}", headers=alice.headers)

    assert (refused["http"], refused["rule"]) == (422, "market_halted")
    assert other["http"] == 201
    assert cancelled.json()["status"] == "cancelled"


async def test_where_no_engine_leads_nothing_is_placed(client: AsyncClient, alice: Person) -> None:
    answer = await client.post(
        ORDERS, json={"card_id": 1, "side": "buy", "price": "2.50"}, headers=alice.headers
    )
    book = await client.get("/api/v1/cards/1/book")

    assert answer.status_code == book.status_code == 503
    assert answer.json()["code"] == book.json()["code"] == "engine-elsewhere"
    assert answer.headers["retry-after"] == "1"
    assert (await client.get("/api/v1/cards/1/trades")).json() == []
