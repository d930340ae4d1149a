"""The settlement's door: who may ask, what is paid once, and what a rehearsal may break."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient

from backend.app.enums import Environment
from backend.app.main import AppRole, create_app
from backend.app.settlement_container import SettlementContainer
from backend.tests.support.settlement_house import new_token, order, settlement_services

PAY = "/api/settlement/withdraw"
TOKENS = (new_token(), new_token())


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[SettlementContainer]:
    container = settlement_services(database_url, *TOKENS)
    await container.start()
    yield container
    await container.stop()


@pytest.fixture
async def client(services: SettlementContainer) -> AsyncIterator[AsyncClient]:
    async with asking(services) as client:
        yield client


def asking(services: SettlementContainer, address: str = "127.0.0.1") -> AsyncClient:
    app = create_app(AppRole.SETTLEMENT, services)
    transport = ASGITransport(app=app, client=(address, 50000))
    return AsyncClient(transport=transport, base_url="http://127.0.0.1:9000")


def token(which: int = 0) -> dict[str, str]:
    return {"X-Internal-Token": TOKENS[which]}


ROUTES = [("POST", PAY), ("GET", "/api/settlement/withdrawals/1")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_token_it_is_401_and_with_another_403(
    client: AsyncClient, method: str, path: str
) -> None:
    bare = await client.request(method, path, json=order())
    bearer = await client.request(
        method, path, json=order(), headers={"Authorization": f"Bearer {TOKENS[0]}"}
    )
    wrong = await client.request(
        method, path, json=order(), headers={"X-Internal-Token": new_token()}
    )

    assert (bare.status_code, bearer.status_code, wrong.status_code) == (401, 401, 403)
    assert wrong.json()["code"] == "internal-key-refused"


async def test_who_may_not_ask_learns_nothing_from_a_wrong_body(client: AsyncClient) -> None:
    answer = await client.post(PAY, json={"nonsense": True})

    assert answer.status_code == 401


@pytest.mark.parametrize("which", [0, 1])
async def test_during_a_rotation_both_tokens_open(client: AsyncClient, which: int) -> None:
    answer = await client.post(PAY, json=order(), headers=token(which))

    assert answer.status_code == 200
    assert answer.json()["state"] == "settled"
    assert answer.json()["account"] == "DE89...3000"


async def test_the_same_order_is_answered_the_same_and_paid_once(client: AsyncClient) -> None:
    answers = await asyncio.gather(
        *(client.post(PAY, json=order(), headers=token()) for _ in range(10))
    )
    told = await client.get("/api/settlement/withdrawals/1", headers=token())

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {told.content}


@pytest.mark.parametrize(
    "change",
    [{"amount": "10.01"}, {"merchant_id": 9}, {"account_id": 9}, {"account": "DE0012345678"}],
)
async def test_another_order_under_the_same_id_is_refused_and_pays_nothing(
    client: AsyncClient, change: dict[str, Any]
) -> None:
    first = await client.post(PAY, json=order(), headers=token())
    other = await client.post(PAY, json=order(**change), headers=token())
    told = await client.get("/api/settlement/withdrawals/1", headers=token())

    assert (other.status_code, other.json()["code"]) == (409, "settlement-contradicted")
    assert told.content == first.content


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "0.00"},
        {"amount": "-1.00"},
        {"amount": 10.0},
        {"amount": "10.001"},
        {"withdrawal_id": 0},
        {"withdrawal_id": 2**63},
        {"account": ""},
        {"account": "x" * 65},
        {"surplus": 1},
    ],
)
async def test_what_is_no_order_is_refused_and_not_repeated(
    client: AsyncClient, change: dict[str, Any]
) -> None:
    answer = await client.post(PAY, json=order(**change), headers=token())

    assert answer.status_code == 422
    assert "DE8937" not in answer.text
    assert "x" * 65 not in answer.text


async def test_what_was_never_asked_for_is_not_there(client: AsyncClient) -> None:
    answer = await client.get("/api/settlement/withdrawals/404", headers=token())

    assert (answer.status_code, answer.json()["code"]) == (404, "settlement-not-found")


async def test_it_has_pages_and_signs_of_life(client: AsyncClient) -> None:
    pages = [await client.get(path) for path in ("/docs", "/openapi.json", "/healthz", "/readyz")]

    assert [page.status_code for page in pages] == [200] * 4
    assert "X-Internal-Token" in pages[1].text


async def test_a_refused_payout_stays_refused(client: AsyncClient) -> None:
    await client.post("/control/faults", json={"rules": [{"fault": "refused", "count": 1}]})

    first = await client.post(PAY, json=order(), headers=token())
    again = await client.post(PAY, json=order(), headers=token())

    assert (first.json()["state"], first.json()["reason"]) == ("refused", "refused_by_bank")
    assert again.content == first.content


@pytest.mark.parametrize(
    "deck",
    [
        {"rules": [{"fault": "nonsense"}]},
        {"rules": [{"fault": "slow", "milliseconds": 30_001}]},
        {"rules": [{"fault": "slow"}] * 17},
        {"rules": [{"fault": "failing", "count": 0}]},
    ],
)
async def test_a_deck_without_bounds_is_no_deck(client: AsyncClient, deck: dict[str, Any]) -> None:
    refused = await client.post("/control/faults", json=deck)
    shown = await client.get("/control/faults")

    assert refused.status_code == 422
    assert shown.json()["rules"] == []


async def test_only_this_machine_may_break_things(services: SettlementContainer) -> None:
    rule = {"rules": [{"fault": "failing"}]}
    async with asking(services, "192.0.2.7") as elsewhere, asking(services) as here:
        far = await elsewhere.post("/control/faults", json=rule)
        page = await here.post("/control/faults", json=rule, headers={"Host": "evil.example"})

    assert (far.status_code, page.status_code) == (403, 403)


async def test_where_money_is_real_nothing_can_be_broken(database_url: str) -> None:
    live = settlement_services(database_url, *TOKENS, exchange_mode=Environment.LIVE)
    async with asking(live) as client:
        control = await client.post("/control/faults", json={"rules": [{"fault": "failing"}]})
        paid = await client.post(PAY, json=order(), headers=token())
    await live.stop()

    assert control.status_code == 404
    assert paid.json()["state"] == "settled"
