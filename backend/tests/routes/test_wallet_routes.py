"""Wallets over HTTP: test funds come and go once, and every line is told."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from httpx2 import ASGITransport, AsyncClient

from backend.app.container import Container
from backend.app.enums import Environment, Role
from backend.app.main import AppRole, create_app
from backend.tests.support.people import person
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.spot import WALLETS, Trader, open_venue, trader


@pytest.fixture
async def market(services: Container) -> AsyncIterator[None]:
    async with open_venue(services):
        yield


@pytest.fixture
async def alice(client: AsyncClient, services: Container, market: None) -> Trader:
    return await trader(client, services, "alice")


async def test_test_funds_come_and_go(alice: Trader) -> None:
    put_in = await alice.transfer("deposits", "USDT", "1000.50")
    taken = await alice.transfer("withdrawals", "USDT", "0.000000000001")

    assert (put_in.status_code, taken.status_code) == (201, 201)
    assert put_in.json() == {
        "id": put_in.json()["id"],
        "kind": "deposit",
        "asset": "USDT",
        "amount": "1000.5",
    }
    newest = (await alice.get(f"{WALLETS}/movements", limit=1)).json()["items"][0]
    assert (await alice.get(WALLETS)).json() == [
        {
            "asset": "USDT",
            "available": "1000.499999999999",
            "locked": "0",
            "total": "1000.499999999999",
            "updated_at": newest["at"],
        }
    ]


async def test_who_has_a_wallet_stays_on_the_books(
    client: AsyncClient, services: Container, alice: Trader
) -> None:
    await alice.deposit("USDT", "1")
    admin = await person(services, "admin", Role.ADMIN)

    answer = await client.delete(f"/api/v1/users/{alice.who.user_id}", headers=admin.headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "user-on-the-books")
    assert (await alice.get(WALLETS)).json()[0]["total"] == "1"


async def test_a_transfer_sent_again_under_its_key_counts_once(alice: Trader) -> None:
    first = await alice.transfer("deposits", "USDT", "10", "k-1")
    again = await alice.transfer("deposits", "USDT", "10.0", "k-1")
    others = [
        await alice.transfer("deposits", "USDT", "11", "k-1"),
        await alice.transfer("deposits", "BTC", "10", "k-1"),
        await alice.transfer("withdrawals", "USDT", "10", "k-1"),
    ]
    longest = await alice.transfer("deposits", "USDT", "1", "k" * 255)

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert [(each.status_code, each.json()["code"]) for each in others] == [
        (422, "idempotency-key-reused")
    ] * 3
    assert longest.status_code == 201
    assert await alice.wallet("USDT") == ("11", "0")


async def test_no_more_goes_than_is_available(alice: Trader) -> None:
    await alice.deposit("USDT", "100")
    await alice.place(price="60000", quantity="0.001")

    refused = await alice.transfer("withdrawals", "USDT", "40.000000000001", "k-1")
    taken = await alice.transfer("withdrawals", "USDT", "40", "k-1")

    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient-funds")
    # What was refused left no trace: the key is free.
    assert taken.status_code == 201
    assert await alice.wallet("USDT") == ("0", "60")


BAD = [
    *[("USDT", amount, "validation") for amount in ("0", "-1", "1e3", "NaN", 1, 1.5, None, "")],
    *[("USDT", amount, "validation") for amount in ("1" * 21, "0." + "1" * 19, "١", "1\n")],
    ("USDT", "1000000000.01", "funds-transfer-refused"),
    ("USDT", "9" * 20, "funds-transfer-refused"),
    ("USDT", "0.0000000000001", "funds-transfer-refused"),
    ("USD", "1", "funds-transfer-refused"),
    *[(asset, "1", "validation") for asset in ("usdt", "", "A" * 21, "B T", 7, None)],
]


async def test_nonsense_is_refused_precisely_and_changes_nothing(alice: Trader) -> None:
    wrong = []

    for way in ("deposits", "withdrawals"):
        for asset, amount, code in BAD:
            answer = await alice.transfer(way, asset, amount)  # type: ignore[arg-type]
            if (answer.status_code, answer.json()["code"]) != (422, code):
                wrong.append((way, asset, amount, answer.status_code, answer.json()["code"]))

    assert wrong == []
    assert (await alice.get(WALLETS)).json() == []


async def test_without_a_key_nothing_moves(alice: Trader) -> None:
    answers = [
        await alice.post(f"{WALLETS}/deposits", {"asset": "USDT", "amount": "1"}, headers)
        for headers in ({}, {"Idempotency-Key": "a b"}, {"Idempotency-Key": "k" * 256})
    ]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [
        (400, "idempotency-key-missing")
    ] * 3
    assert (await alice.get(WALLETS)).json() == []


async def test_movements_tell_how_every_wallet_came_to_what_it_holds(
    client: AsyncClient, services: Container, alice: Trader
) -> None:
    bob = await trader(client, services, "bob", BTC="2")
    await alice.deposit("USDT", "100000")
    await bob.place(side="sell", price="60000", quantity="0.5")
    placed = await alice.place(price="61000", quantity="1")
    await alice.cancel(placed["id"])
    await alice.transfer("withdrawals", "BTC", "0.25")

    movements = await alice.every(f"{WALLETS}/movements", limit=2)
    of_bitcoin = await alice.every(f"{WALLETS}/movements", limit=2, asset="BTC")
    sums: dict[tuple[str, str], Decimal] = {}
    for each in movements:
        pocket = each["asset"], each["pocket"]
        sums[pocket] = sums.get(pocket, Decimal(0)) + Decimal(each["amount"])

    for asset in ("USDT", "BTC"):
        available, locked = await alice.wallet(asset)
        assert sums[asset, "available"] == Decimal(available)
        assert sums.get((asset, "locked"), 0) == Decimal(locked)
    assert [each for each in movements if each["asset"] == "BTC"] == of_bitcoin
    assert [each["kind"] for each in of_bitcoin] == ["payout", "order"]
    assert {each["kind"] for each in movements} == {"deposit", "order", "cancel", "payout"}
    ids = [each["movement_id"] for each in movements]
    assert ids == sorted(ids, reverse=True)
    assert movements == await alice.every(f"{WALLETS}/movements", limit=200)


async def test_wallets_of_others_are_not_seen(
    client: AsyncClient, services: Container, alice: Trader
) -> None:
    await trader(client, services, "bob", BTC="2")

    assert (await alice.get(WALLETS)).json() == []
    assert (await alice.get(f"{WALLETS}/movements")).json()["items"] == []


async def test_there_are_no_test_funds_but_in_a_rehearsal(database_url: str) -> None:
    live = Container(settings_for_tests(exchange_mode=Environment.LIVE), database_url)
    transport = ASGITransport(app=create_app(AppRole.API, live))
    async with AsyncClient(transport=transport, base_url="http://live") as client:
        alice = Trader(client, await person(live, "alice"))
        answer = await alice.transfer("deposits", "USDT", "1")

    assert (answer.status_code, answer.json()["code"]) == (403, "no-test-funds")
    await live.stop()
