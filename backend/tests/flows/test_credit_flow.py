"""Merchant credit through the doors: apply, approve, withdraw, look, and be told no."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from httpx2 import AsyncClient, Response

from backend.app.audit_record import SYSTEM
from backend.app.enums import KeyScope, Role
from backend.tests.support import credit
from backend.tests.support.api_keys import api_key, key_headers
from backend.tests.support.people import PASSWORD, Person, bearer, signed_in
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.world import House, running_house

V1 = "/api/v1"
WITHDRAWALS = f"{V1}/withdrawals"
DECIDED_SECONDS_MAX = 300

pytestmark = pytest.mark.asyncio(loop_scope="module")
module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")


@module_fixture
async def house(cluster_url: str, template_database: str) -> AsyncIterator[House]:
    async with running_house(
        cluster_url, template_database, settings_for_tests(), works=False
    ) as running:
        yield running


@module_fixture
async def root(house: House) -> Person:
    return await house.somebody(Role.ADMIN)


@module_fixture
async def alice(house: House, root: Person) -> Person:
    """A merchant with 1,000.00 on a pool of her own."""
    await house.client.post(f"{V1}/admin/pool", json={"name": "alices"}, headers=root.headers)
    await credit.fund(house.services, root, "100000.00", "alices")
    return await credit.merchant(house.services, root, "alice", "1000.00", "alices")


@pytest.fixture
def client(house: House) -> AsyncClient:
    return house.client


async def withdraw(
    client: AsyncClient, who: Person, body: Any, key: str | None = None, **headers: str
) -> Response:
    named = {"Idempotency-Key": credit.new_key() if key is None else key}
    return await client.post(WITHDRAWALS, json=body, headers={**who.headers, **named, **headers})


async def test_a_merchant_applies_is_approved_withdraws_and_sees_it(
    client: AsyncClient, root: Person
) -> None:
    registered = await client.post(
        f"{V1}/auth/register",
        json={
            "username": "shop",
            "password": PASSWORD,
            "requested_credit": "500.00",
            "bank_account": credit.BANK_ACCOUNT,
        },
    )
    assert registered.status_code == 201, registered.text
    merchant_id = registered.json()["id"]
    shop = bearer((await signed_in(client, "shop"))["access"])
    pending = await client.get(f"{V1}/me", headers=shop)
    approval = {"merchant_id": merchant_id, "credit_limit": "400.00", "pool": "shops"}
    await client.post(f"{V1}/admin/pool", json={"name": "shops"}, headers=root.headers)
    topped = await client.post(
        f"{V1}/admin/pool/topup", json={"amount": "300.00", "pool": "shops"}, headers=root.headers
    )
    approved = await client.post(f"{V1}/admin/approve", json=approval, headers=root.headers)
    twice = await client.post(f"{V1}/admin/approve", json=approval, headers=root.headers)
    made = await client.post(
        WITHDRAWALS, json={"amount": "120.50"}, headers={**shop, "Idempotency-Key": '"one"'}
    )
    again = await client.post(
        WITHDRAWALS, json={"amount": "120.5"}, headers={**shop, "Idempotency-Key": "one"}
    )
    me = (await client.get(f"{V1}/me", headers=shop)).json()["merchant"]

    assert registered.json()["role"] == "merchant"
    assert pending.json()["merchant"]["state"] == "pending"
    assert pending.json()["merchant"]["bank_account"] == "DE89...3000"
    assert topped.json()["available_amount"] == "300.00"
    assert (approved.status_code, approved.json()["available"]) == (200, "400.00")
    assert (twice.status_code, twice.json()["code"]) == (409, "merchant-not-pending")
    assert (made.status_code, made.json()["state"]) == (201, "requested")
    assert (again.status_code, again.content) == (201, made.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in made.headers
    assert [me[name] for name in ("credit_limit", "utilised", "available")] == [
        *("400.00", "120.50", "279.50")
    ]
    assert [(m["kind"], m["amount"], m["withdrawal_id"]) for m in me["recent_movements"]] == [
        ("withdrawal", "120.50", made.json()["id"])
    ]
    assert credit.BANK_ACCOUNT not in registered.text + str(me)


async def test_five_hundred_requests_for_what_covers_three_hundred(
    house: House, client: AsyncClient, root: Person
) -> None:
    await client.post(f"{V1}/admin/pool", json={"name": "small"}, headers=root.headers)
    await credit.fund(house.services, root, "300.00", "small")
    people = [
        await credit.merchant(house.services, root, f"racer{n}", "1000.00", "small")
        for n in range(10)
    ]
    for each in people:
        # Signed in for a while already, as people at work are.
        await client.get(f"{V1}/me", headers=each.headers)

    answers = await asyncio.gather(*(decided(client, people[n % 10]) for n in range(500)))

    assert Counter(answer.json().get("code", "made") for answer in answers) == {
        "made": 300,
        "pool-short": 200,
    }
    await credit.assert_proved(house.services)


async def decided(client: AsyncClient, who: Person) -> Response:
    """Withdraw a dollar; where the house has too much to do, ask again as it says: by its key."""
    key = credit.new_key()
    async with asyncio.timeout(DECIDED_SECONDS_MAX):
        while True:
            answer = await withdraw(client, who, {"amount": "1.00"}, key)
            if answer.status_code != 503:
                return answer


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"amount": "0"}, 422),
        ({"amount": "1e3"}, 422),
        ({"amount": "NaN"}, 422),
        ({"amount": "Infinity"}, 422),
        ({"amount": "1,00"}, 422),
        ({"amount": " 1.00"}, 422),
        ({"amount": "1.00\n"}, 422),
        ({"amount": ".50"}, 422),
        ({"amount": "1."}, 422),
        ({"amount": "١.00"}, 422),
        ({"amount": 1}, 422),
        ({"amount": 1.5}, 422),
        ({"amount": True}, 422),
        ({"amount": None}, 422),
        ({"amount": ["1.00"]}, 422),
        ({"amount": ""}, 422),
        ({}, 422),
        ({"amount": "1.00", "user_id": 1}, 422),
        ({"amount": "999999999999.99"}, 409),
        ({"amount": "1000.01"}, 409),
    ],
)
async def test_what_cannot_be_withdrawn_is_refused_and_moves_nothing(
    client: AsyncClient, alice: Person, body: Any, status: int
) -> None:
    before = await client.get(f"{V1}/me/statement", headers=alice.headers)

    answer = await withdraw(client, alice, body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 422:
        named = {error["loc"][-1] for error in answer.json()["errors"]}
        assert named == {"user_id" if "user_id" in body else "amount"}
    after = await client.get(f"{V1}/me/statement", headers=alice.headers)
    assert after.content == before.content


@pytest.mark.parametrize(
    ("amount", "kind"),
    [
        ("0.00", "money_positive"),
        ("-1.00", "money_positive"),
        ("-0.001", "money_positive"),
        ("1.001", "money_decimals"),
        ("1" * 13, "money_large"),
        ("9" * 13 + ".99", "money_large"),
        ("+1.00", "money"),
    ],
)
async def test_an_amount_that_is_refused_is_told_why(
    client: AsyncClient, alice: Person, amount: str, kind: str
) -> None:
    answer = await withdraw(client, alice, {"amount": amount})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["type"]) == (422, kind)
    assert amount not in error["msg"]


@pytest.mark.parametrize("key", ["", '""', "with space", "k" * 256, "tab\there", "ümlaut"])
async def test_a_key_that_is_none_is_refused(client: AsyncClient, alice: Person, key: str) -> None:
    answer = await client.post(
        WITHDRAWALS,
        json={"amount": "1.00"},
        headers=[*alice.headers.items(), (b"Idempotency-Key", key.encode("latin-1"))],
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")


async def test_without_a_key_nothing_is_withdrawn(client: AsyncClient, alice: Person) -> None:
    answer = await client.post(WITHDRAWALS, json={"amount": "1.00"}, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")


async def test_a_key_counts_for_one_user_and_one_body(
    house: House, client: AsyncClient, root: Person, alice: Person
) -> None:
    bob = await credit.merchant(house.services, root, "bob", "100.00", "alices")

    first = await withdraw(client, alice, {"amount": "1.00"}, "shared")
    other = await withdraw(client, bob, {"amount": "1.00"}, "shared")
    reused = await withdraw(client, alice, {"amount": "2.00"}, "shared")

    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["id"] != other.json()["id"]
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency-key-reused")


async def test_a_suspended_merchant_draws_nothing_until_he_is_resumed(
    house: House, client: AsyncClient, root: Person
) -> None:
    carol = await credit.merchant(house.services, root, "carol", "100.00", "alices")
    place = f"{V1}/admin/merchants/{carol.user_id}"

    suspended = await client.post(f"{place}/suspend", headers=root.headers)
    refused = await withdraw(client, carol, {"amount": "1.00"})
    await client.post(f"{place}/resume", headers=root.headers)
    drawn = await withdraw(client, carol, {"amount": "60.00"})
    below = await client.patch(place, json={"credit_limit": "59.99"}, headers=root.headers)
    changed = await client.patch(place, json={"credit_limit": "60.00"}, headers=root.headers)
    over = await withdraw(client, carol, {"amount": "0.01"})

    assert suspended.json()["state"] == "suspended"
    assert refused.json()["code"] == "merchant-not-active"
    assert refused.json()["merchant_state"] == "suspended"
    assert drawn.status_code == 201
    assert (below.json()["code"], below.json()["utilised"]) == ("credit-limit-below-use", "60.00")
    assert changed.json()["available"] == "0.00"
    assert over.json()["code"] == "credit-exceeded"


async def test_who_is_not_approved_or_no_merchant_draws_nothing(
    house: House, client: AsyncClient
) -> None:
    waiting = await credit.applicant(house.services, "waiting")
    nobody = await house.somebody(Role.MERCHANT)
    user = await house.somebody(Role.USER)

    answers = [await withdraw(client, who, {"amount": "1.00"}) for who in (waiting, nobody, user)]

    assert [answer.status_code for answer in answers] == [409, 409, 403]
    assert [answer.json().get("merchant_state") for answer in answers] == ["pending", "none", None]


async def test_a_key_of_ours_withdraws_only_with_its_scope(
    house: House, client: AsyncClient, alice: Person
) -> None:
    able = await api_key(house.services, alice, KeyScope.WITHDRAW)
    reading = await api_key(house.services, alice, KeyScope.READ)

    answers = [
        await client.post(
            WITHDRAWALS,
            json={"amount": "1.00"},
            headers={**key_headers(key), "Idempotency-Key": credit.new_key()},
        )
        for key in (able, reading)
    ]

    assert [answer.status_code for answer in answers] == [201, 403]


async def test_a_statement_tells_every_movement_with_the_balance_after_it(
    house: House, client: AsyncClient, root: Person
) -> None:
    dora = await credit.merchant(house.services, root, "dora", "100.00", "alices")
    first = await credit.withdrawn(house.services, dora, "60.00")
    await house.services.credit.settling.give_back(first.id, "account_closed", SYSTEM)
    await credit.withdrawn(house.services, dora, "25.50")
    place = f"{V1}/me/statement"

    page = (await client.get(f"{place}?limit=2", headers=dora.headers)).json()
    rest = await client.get(
        f"{place}?format=csv&cursor={page['next_cursor']}", headers=dora.headers
    )
    theirs = await client.get(
        f"{V1}/admin/merchants/{dora.user_id}/statement", headers=root.headers
    )
    shown = await client.get(f"{WITHDRAWALS}/{first.id}", headers=dora.headers)

    lines = [(line["kind"], line["amount"], line["balance"]) for line in page["items"]]
    assert lines == [("withdrawal", "60.00", "60.00"), ("given_back", "-60.00", "0.00")]
    assert page["items"][1]["reverses_id"] == page["items"][0]["movement_id"]
    head, row = rest.text.split("\r\n")[:2]
    assert head == "movement_id,at,kind,amount,balance,withdrawal_id,reverses_id"
    assert row.split(",")[2:5] == ["withdrawal", "25.50", "25.50"]
    assert rest.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(theirs.json()["items"]) == 3
    assert (shown.json()["state"], shown.json()["reason"]) == ("failed", "account_closed")


async def test_a_pool_is_topped_up_once_a_key_and_drawn_down_no_further_than_it_holds(
    client: AsyncClient, root: Person
) -> None:
    await client.post(f"{V1}/admin/pool", json={"name": "p2"}, headers=root.headers)
    body = {"amount": "50.00", "pool": "p2"}
    once = {**root.headers, "Idempotency-Key": "top"}

    first = await client.post(f"{V1}/admin/pool/topup", json=body, headers=once)
    again = await client.post(f"{V1}/admin/pool/topup", json=body, headers=once)
    other = await client.post(
        f"{V1}/admin/pool/topup", json={**body, "amount": "51.00"}, headers=once
    )
    over = {"amount": "50.01", "pool": "p2"}
    short = {**root.headers, "Idempotency-Key": "down"}
    refused = await client.post(f"{V1}/admin/pool/drawdown", json=over, headers=short)
    replayed = await client.post(f"{V1}/admin/pool/drawdown", json=over, headers=short)
    down = await client.post(
        f"{V1}/admin/pool/drawdown", json={**over, "amount": "20.00"}, headers=root.headers
    )
    history = await client.get(f"{V1}/admin/pool/history?pool=p2", headers=root.headers)
    unknown = await client.post(
        f"{V1}/admin/pool/topup", json={**body, "pool": "p3"}, headers=root.headers
    )

    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert (refused.json()["code"], refused.json()["available"]) == ("pool-short", "50.00")
    assert (replayed.status_code, replayed.content) == (409, refused.content)
    assert down.json()["available_amount"] == "30.00"
    assert [(line["kind"], line["balance"]) for line in history.json()["items"]] == [
        *(("topup", "50.00"), ("drawdown", "30.00"))
    ]
    assert unknown.json()["code"] == "pool-not-found"


@pytest.mark.parametrize(
    "members",
    [
        {"requested_credit": "1.00"},
        {"bank_account": "DE89370400440532013000"},
        {"requested_credit": "0", "bank_account": "DE89370400440532013000"},
        {"requested_credit": 1000, "bank_account": "DE89370400440532013000"},
        {"requested_credit": "1.00", "bank_account": "=1+1"},
        {"requested_credit": "1.00", "bank_account": "12"},
        {},
    ],
)
async def test_a_half_application_registers_nobody(
    client: AsyncClient, members: dict[str, Any]
) -> None:
    answer = await client.post(
        f"{V1}/auth/register", json={"username": "half", "password": PASSWORD, **members}
    )

    assert answer.status_code == 422
    assert "DE8937" not in answer.text
