"""The way to the settlement, over real HTTP: what it is told, and what is not believed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from backend.app.errors import ConfigurationError
from backend.app.services.settlement.settlement_client import (
    ANSWER_BYTES_MAX,
    FAILURES_TO_REST,
    REST_SECONDS,
    SettlementClient,
)
from backend.app.services.settlement.verdicts import (
    NotAsked,
    Payout,
    Refused,
    Settled,
    Silence,
    Unknown,
)
from backend.tests.support.logs import house_logging
from backend.tests.support.settlement_house import (
    ServedSettlement,
    new_token,
    order,
    served_settlement,
)


def payout(withdrawal_id: int = 1, tries: int = 1) -> Payout:
    return Payout(
        withdrawal_id=withdrawal_id,
        merchant_id=7,
        account_id=8,
        amount=Decimal("10.00"),
        bank_account=SecretStr("DE89370400440532013000"),
        until=datetime(2026, 11, 21, tzinfo=UTC),
        tries=tries,
        was_unknown=False,
    )


@pytest.fixture
async def settlement(database_url: str) -> AsyncIterator[ServedSettlement]:
    async with served_settlement(database_url) as served:
        yield served


def patient(url: str, token: str) -> SettlementClient:
    """Return a way that gives a busy machine its time."""
    return SettlementClient(
        url, SecretStr(token), connect_seconds_max=60.0, answer_seconds_max=60.0
    )


@pytest.fixture
async def way(settlement: ServedSettlement) -> AsyncIterator[SettlementClient]:
    client = patient(settlement.url, settlement.token)
    yield client
    await client.close()


async def known(settlement: ServedSettlement, withdrawal_id: int = 1) -> int:
    answer = await settlement.client.get(
        f"/api/settlement/withdrawals/{withdrawal_id}",
        headers={"X-Internal-Token": settlement.token},
    )
    return answer.status_code


async def test_a_payout_is_settled(settlement: ServedSettlement, way: SettlementClient) -> None:
    assert await way.pay(payout()) == Settled()
    assert await way.pay(payout()) == Settled()
    assert await known(settlement) == 200


async def test_what_the_bank_refuses_is_refused_for_good(
    settlement: ServedSettlement, way: SettlementClient
) -> None:
    await settlement.misbehave({"fault": "refused", "count": 1})

    assert await way.pay(payout()) == Refused("refused_by_bank")
    assert await way.pay(payout(tries=2)) == Refused("refused_by_bank")


@pytest.mark.parametrize(
    ("fault", "silence", "was_done"),
    [
        ("failing", Silence.UNUSABLE_ANSWER, False),
        ("lost_request", Silence.NO_ANSWER, False),
        ("lost_reply", Silence.NO_ANSWER, True),
    ],
)
async def test_what_is_not_answered_is_unknown_and_asked_about_first(
    settlement: ServedSettlement,
    way: SettlementClient,
    fault: str,
    silence: Silence,
    was_done: bool,
) -> None:
    await settlement.misbehave({"fault": fault, "count": 1})

    assert await way.pay(payout()) == Unknown(silence)
    assert await known(settlement) == (200 if was_done else 404)
    assert await way.pay(payout(tries=2)) == Settled()


async def test_what_is_answered_too_late_is_unknown_and_asked_about_first(
    settlement: ServedSettlement, way: SettlementClient
) -> None:
    await settlement.misbehave({"fault": "slow", "milliseconds": 1500, "count": 1})
    token = SecretStr(settlement.token)
    hasty = SettlementClient(
        settlement.url, token, connect_seconds_max=60.0, answer_seconds_max=0.2
    )

    assert await hasty.pay(payout()) == Unknown(Silence.NO_ANSWER)
    assert await way.pay(payout(tries=2)) == Settled()
    await hasty.close()


async def test_a_wrong_token_says_nothing_about_the_money(settlement: ServedSettlement) -> None:
    way = patient(settlement.url, new_token())

    assert await way.pay(payout()) == Unknown(Silence.TOKEN_REFUSED)
    assert await known(settlement) == 404
    await way.close()


async def test_an_order_that_contradicts_an_earlier_one_is_not_believed(
    settlement: ServedSettlement, way: SettlementClient
) -> None:
    await settlement.client.post(
        "/api/settlement/withdraw",
        json=order(1, amount="11.00"),
        headers={"X-Internal-Token": settlement.token},
    )

    assert await way.pay(payout()) == Unknown(Silence.CONTRADICTED)
    assert await way.pay(payout(tries=2)) == Unknown(Silence.CONTRADICTED)


async def test_nobody_there_is_not_asked_and_left_in_peace_for_a_while() -> None:
    seconds = 0.0
    way = SettlementClient("http://127.0.0.1:1", SecretStr(new_token()), monotonic=lambda: seconds)

    answers = [await way.pay(payout()) for _ in range(FAILURES_TO_REST + 1)]
    seconds = REST_SECONDS

    assert answers == [NotAsked()] * (FAILURES_TO_REST + 1)
    assert await way.pay(payout()) == NotAsked()
    await way.close()


HOSTILE = {
    "garbage": web.Response(body=b"\x00\xff", content_type="application/json"),
    "another payout": web.json_response(
        {
            **order(2),
            "account": "****",
            "state": "settled",
            "reason": None,
            "decided_at": "2026-11-21T00:00:00Z",
        }
    ),
    "endless": web.Response(body=b" " * (ANSWER_BYTES_MAX + 1)),
    "redirect": web.Response(status=307, headers={"Location": "/elsewhere"}),
    "a page": web.Response(text="<html>", content_type="text/html"),
    "not found": web.Response(status=404),
    "server error": web.Response(status=500),
    "state of its own": web.json_response(
        {**order(1), "state": "perhaps", "reason": None, "decided_at": "2026-11-21T00:00:00Z"}
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_whatever_else_answers_is_not_believed(kind: str) -> None:
    paths: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        template = HOSTILE[kind]
        return web.Response(
            body=template.body, status=template.status, headers=dict(template.headers)
        )

    runner = web.AppRunner(_app(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    token = new_token()
    way = patient(f"http://127.0.0.1:{port}", token)

    with house_logging() as written:
        verdict = await way.pay(payout())

    assert isinstance(verdict, Unknown)
    assert paths == ["/api/settlement/withdraw"]
    assert token not in written.getvalue()
    assert "DE8937" not in written.getvalue()
    await way.close()
    await runner.cleanup()


def _app(answer: Any) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    return app


async def test_no_more_are_asked_at_once_than_the_bound(
    settlement: ServedSettlement, way: SettlementClient
) -> None:
    verdicts = await asyncio.gather(*(way.pay(payout(n)) for n in range(1, 101)))

    assert verdicts == [Settled()] * 100


@pytest.mark.parametrize("url", ["", "settlement:9000", "ftp://x", "http://a:b@x", "http://x?q=1"])
def test_an_address_that_is_none_refuses_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        SettlementClient(url, SecretStr(new_token()))

    assert "SETTLEMENT_URL" in str(refusal.value)


def test_a_payout_shows_no_account() -> None:
    assert "DE8937" not in repr(replace(payout(), tries=2))
