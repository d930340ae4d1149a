"""What a passport costs in requests, and when an order is tried that is never placed."""

import asyncio
import json
from collections.abc import Iterator, Mapping

import pytest

from backend.app.enums import Evidence, Known
from backend.app.exchanges.connector import Connector
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.verification import ExchangeKeys, Verification
from backend.app.secret_value import SecretValue
from backend.tests.support.hostile_exchange import Answer, reply, serving
from backend.tests.support.sandbox import RunningSandbox, patient, running_sandbox

BALANCE_REQUESTS = {"htx": 2}
KEYS = ExchangeKeys("key", SecretValue("secret"), SecretValue("phrase"))

BALANCES = {
    "binance": {"balances": []},
    "mexc": {"balances": []},
    "kucoin": {"code": "200000", "data": []},
    "okx": {"code": "0", "data": [{"details": []}]},
}
BALANCE_PATHS = {"/api/v3/account", "/api/v1/accounts", "/api/v5/account/balance"}
DRY_RUN_PATHS = {"/api/v3/order/test", "/api/v1/orders/test"}
PASSED = {"binance": b"{}", "mexc": b"{}", "kucoin": b'{"code":"200000","data":{"orderId":"x"}}'}
NOT_ALLOWED = {
    "binance": (
        "401 No",
        b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}',
    ),
    "mexc": ("400 No", b'{"code":700007,"msg":"No permission to access the endpoint."}'),
    "kucoin": ("401 No", b'{"code":"400007","msg":"Access denied, require more permission"}'),
}
REFUSED = NOT_ALLOWED | {"okx": ("401 No", b'{"code":"50120","msg":"no permission"}')}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


def exchange_that(
    exchange: str, about_the_key: bytes, dry_run: bytes | None, asked: list[str]
) -> Answer:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ")[1].decode().split("?")[0].removeprefix(f"/{exchange}")
        asked.append(path)
        if path in BALANCE_PATHS:
            writer.write(reply(json.dumps(BALANCES[exchange]).encode()))
        elif path in DRY_RUN_PATHS and dry_run is not None:
            writer.write(dry_run)
        else:
            writer.write(about_the_key)
        await writer.drain()

    return answer


async def verified(exchange: str, answer: Answer) -> Verification:
    async with serving(answer) as (origin, _):
        connector = Connector(patient(origin))
        found = await connector.verify(exchange, KEYS)
        await connector.close()
    return found


def refusal(of: Mapping[str, tuple[str, bytes]], exchange: str) -> bytes:
    status, body = of[exchange]
    return reply(body, status=status)


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_passport_costs_two_requests_beyond_the_balance_at_the_most(
    sandbox: RunningSandbox, exchange: str
) -> None:
    keys = sandbox.account(exchange, "full").keys
    phrase = None if keys.passphrase is None else SecretValue(keys.passphrase)
    closed = ExchangeKeys(keys.api_key, SecretValue(keys.api_secret), phrase)
    connector = Connector(patient(sandbox.base_url))

    first = await connector.verify(exchange, closed)
    second = await connector.verify(exchange, closed)
    await connector.close()

    allowed = BALANCE_REQUESTS.get(exchange, 1) + 2
    assert len(first.evidence) <= allowed
    # The clock was read for everybody who asks within the minute.
    shares = exchange not in {"htx", "gate"}
    assert len(second.evidence) == len(first.evidence) - shares
    assert (second.clock_evidence is Evidence.FETCH_TIME) == shares


@pytest.mark.parametrize("exchange", PASSED)
async def test_where_the_rights_are_not_told_an_order_is_tried(exchange: str) -> None:
    asked: list[str] = []
    refused = refusal(REFUSED, exchange)

    found = await verified(
        exchange, exchange_that(exchange, refused, reply(PASSED[exchange]), asked)
    )

    assert (found.refusal, found.key_information) == (None, None)
    assert found.dry_run_order is Known.YES
    assert len(asked) == 3
    assert asked[-1] in DRY_RUN_PATHS


@pytest.mark.parametrize("exchange", PASSED)
async def test_an_order_that_may_not_be_tried_tells_that_the_key_cannot_trade(
    exchange: str,
) -> None:
    refused, denied = refusal(REFUSED, exchange), refusal(NOT_ALLOWED, exchange)

    found = await verified(exchange, exchange_that(exchange, refused, denied, []))

    assert found.dry_run_order is Known.NO


@pytest.mark.parametrize("exchange", PASSED)
@pytest.mark.parametrize(
    "said",
    [
        reply(b'{"code":-1013,"msg":"Filter failure: NOTIONAL"}', status="400 No"),
        reply(b"<html>"),
        reply(b"null"),
        reply(b'{"code":"200001"}'),
        reply(b"", status="503 Away"),
    ],
    ids=("filter", "page", "null", "code", "away"),
)
async def test_whatever_else_an_order_is_answered_proves_nothing(
    exchange: str, said: bytes
) -> None:
    refused = refusal(REFUSED, exchange)

    found = await verified(exchange, exchange_that(exchange, refused, said, []))

    assert found.dry_run_order is Known.UNKNOWN


@pytest.mark.parametrize(
    "about_the_key",
    [
        reply(b'{"code":-1003,"msg":"Too many requests"}', status="429 Slow"),
        reply(b"<html>"),
        reply(b"", status="503 Away"),
    ],
    ids=("throttled", "page", "away"),
)
async def test_no_order_is_tried_where_the_exchange_is_only_busy(about_the_key: bytes) -> None:
    asked: list[str] = []

    found = await verified("binance", exchange_that("binance", about_the_key, None, asked))

    assert found.dry_run_order is Known.UNKNOWN
    assert not DRY_RUN_PATHS & set(asked)


async def test_an_exchange_without_such_an_order_is_asked_for_none() -> None:
    asked: list[str] = []

    found = await verified("okx", exchange_that("okx", refusal(REFUSED, "okx"), None, asked))

    assert (found.refusal, found.dry_run_order) == (None, Known.UNKNOWN)
    assert len(asked) == 2
