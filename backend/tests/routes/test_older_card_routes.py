"""The older card API: its shapes, its errors, and whom it believes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.config import Settings, VenueSettings
from backend.app.container import Container
from backend.app.services.card_service import CARD_SHARD
from backend.tests.support.people import Person, person
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.venue import led, running

NAMED = {"X-Identity-Id": "7"}


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    if request.node.get_closest_marker("usefixtures") is None:
        return settings_for_tests()
    return replace(
        settings_for_tests(),
        venue=VenueSettings(card_identity_header="X-Identity-Id", _env_file=None),
    )


@pytest.fixture
async def market(services: Container) -> AsyncIterator[None]:
    async with running(services.engines[CARD_SHARD]) as engine:
        await led(engine)
        yield


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


async def place(client: AsyncClient, headers: dict[str, str], **order: Any) -> Any:
    body = {"item_id": 1, "order_type": 1, "price": "2.50", **order}
    return await client.post("/apis/v1/orders", json=body, headers=headers)


async def test_items_are_a_page_and_each_is_an_answer(client: AsyncClient) -> None:
    listed = await client.get("/apis/v1/items?page=2&per_page=3")
    one = await client.get("/apis/v1/items/1")

    assert listed.json() == {
        "meta": {"pagination": {"page": 2, "per_page": 3, "total_count": 4, "total_page": 2}},
        "data": [{"id": 4, "name": "Squirtle"}],
    }
    assert one.json() == {"data": {"id": 1, "name": "Pikachu"}}


@pytest.mark.usefixtures("market")
async def test_orders_and_transactions_have_their_older_shapes(
    client: AsyncClient, services: Container
) -> None:
    placed = await place(client, NAMED)
    await place(client, {"X-Identity-Id": "8"}, order_type=2, price="2.40")

    order = (await client.get("/apis/v1/orders/1", headers=NAMED)).json()
    listed = (await client.get("/apis/v1/orders", headers=NAMED)).json()
    traded = (await client.get("/apis/v1/transactions?item_id=1")).json()
    at = order["data"]["created_at"]
    expected = {"id": 1, "item_id": 1, "order_type": 1, "price": "2.50", "created_at": at}
    pagination = {"page": 1, "per_page": 50, "total_count": 1, "total_page": 1}
    assert placed.status_code == 201
    assert placed.json() == {"data": {**expected, "status": 1}}
    assert order == {"data": {**expected, "status": 2}}
    assert listed == {"meta": {"pagination": pagination}, "data": [order["data"]]}
    assert traded["meta"] == {"pagination": pagination}
    [trade] = traded["data"]
    assert trade == {"id": 1, "item_id": 1, "price": "2.50", "created_at": trade["created_at"]}


NO_PRICE = 'price: A price as a string, such as "1.23"'
NO_TYPE = "order_type: Input should be a valid integer"
BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"price": "nonsense"}, 400, NO_PRICE),
    ({"price": 2.5}, 400, NO_PRICE),
    ({"price": "2.505"}, 400, "The price is no multiple of 0.01."),
    ({"price": "10.01"}, 400, "Prices of this card go from 1.00 to 10.00."),
    ({"order_type": 3}, 400, "order_type: Input should be less than or equal to 2"),
    ({"order_type": "1"}, 400, NO_TYPE),
    ({"order_type": True}, 400, NO_TYPE),
    ({"item_id": "x"}, 400, "item_id: Input should be a valid integer"),
    ({"item_id": 5}, 404, "No such card"),
]


@pytest.mark.usefixtures("market")
async def test_what_cannot_be_used_is_told_in_the_older_form(client: AsyncClient) -> None:
    for order, status, message in BAD:
        answer = await place(client, NAMED, **order)

        assert answer.status_code == status, order
        assert answer.json() == {"code": f"{status}000", "message": message}
    assert (await client.get("/apis/v1/orders", headers=NAMED)).json()["data"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/apis/v1/items/5", 404),
        ("/apis/v1/items/x", 400),
        ("/apis/v1/items?per_page=51", 400),
        ("/apis/v1/transactions", 400),
        ("/apis/v1/nowhere", 404),
        ("/apis/v1/orders", 401),
    ],
)
async def test_every_refusal_has_a_code_and_a_message(
    client: AsyncClient, path: str, status: int
) -> None:
    answer = await client.get(path)

    assert answer.status_code == status
    assert answer.json().keys() == {"code", "message"}
    assert answer.json()["code"] == f"{status}000"


@pytest.mark.usefixtures("market")
async def test_whom_the_header_names_sees_nothing_of_others(
    client: AsyncClient, alice: Person
) -> None:
    await place(client, alice.headers)
    named_alike = {"X-Identity-Id": str(alice.user_id)}

    foreign = await client.get("/apis/v1/orders/1", headers=named_alike)
    own = await client.get("/apis/v1/orders", headers=alice.headers)

    assert foreign.status_code == 404
    assert (await client.get("/apis/v1/orders", headers=named_alike)).json()["data"] == []
    assert [each["id"] for each in own.json()["data"]] == [1]


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("number", ["", "0", "-1", "1.5", "x", "9" * 11, "1 OR 1=1"])
async def test_a_header_that_names_nobody_is_refused(client: AsyncClient, number: str) -> None:
    answer = await place(client, {"X-Identity-Id": number})

    assert (answer.status_code, answer.json()["code"]) == (400, "400000")


async def test_unless_it_is_configured_the_header_says_nothing(client: AsyncClient) -> None:
    answer = await place(client, NAMED)

    assert (answer.status_code, answer.json()["code"]) == (401, "401000")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("market")
async def test_elsewhere_the_header_names_nobody(client: AsyncClient) -> None:
    assert (await client.get("/api/v1/cards/orders", headers=NAMED)).status_code == 401
