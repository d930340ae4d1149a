"""Binance's WebSocket, word by word: what is asked wrongly, and what nobody is told."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from backend.app.exchanges.dialects.signing import hmac_hex
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.app import unix_now_ms
from backend.tests.support.sandbox import RunningSandbox


@asynccontextmanager
async def connected(sandbox: RunningSandbox, path: str) -> AsyncIterator[ClientConnection]:
    async with connect(sandbox.url("binance").replace("http", "ws", 1) + path) as connection:
        yield connection


async def asked(connection: ClientConnection, message: Any) -> Any:
    await connection.send(message if isinstance(message, str) else json.dumps(message))
    return json.loads(await connection.recv())


def signed(account: SeededAccount, **params: Any) -> dict[str, Any]:
    named = {
        "apiKey": account.keys.api_key,
        "timestamp": unix_now_ms(),
        "recvWindow": 60_000,
        **params,
    }
    query = "&".join(f"{key}={named[key]}" for key in sorted(named))
    return {**named, "signature": hmac_hex(account.keys.api_secret, query)}


async def test_a_stream_nobody_has_is_refused_and_the_connection_goes_on(
    sandbox: RunningSandbox,
) -> None:
    async with connected(sandbox, "/ws") as connection:
        unknown = await asked(
            connection, {"method": "SUBSCRIBE", "params": ["lunausdt@trade"], "id": 1}
        )
        broken = await asked(connection, "{")
        known = await asked(
            connection, {"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 2}
        )

    assert unknown == {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 1}
    assert broken == {"error": {"code": 3, "msg": "Invalid JSON"}}
    assert known == {"result": None, "id": 2}


@pytest.mark.parametrize(
    "name", ["btcusdt@kline_1y", "btcusdt@depth_5", "btcusdt@", "!depth@arr", "btcusdt@trade@1s"]
)
async def test_a_stream_of_another_form_is_unknown(sandbox: RunningSandbox, name: str) -> None:
    async with connected(sandbox, "/ws") as connection:
        told = await asked(connection, {"method": "SUBSCRIBE", "params": [name], "id": 1})

    assert told["error"]["code"] == 2


async def test_streams_named_in_the_address_are_joined_and_can_be_left(
    sandbox: RunningSandbox,
) -> None:
    async with connected(sandbox, "/stream?streams=btcusdt@bookTicker/ethusdt@depth") as connection:
        told = json.loads(await connection.recv())
        await connection.send('{"method": "UNSUBSCRIBE", "params": ["ethusdt@depth"], "id": 7}')
        while "result" not in json.loads(await connection.recv()):
            pass
        await connection.send('{"method": "LIST_SUBSCRIPTIONS", "id": 8}')
        while "result" not in (listed := json.loads(await connection.recv())):
            pass

    assert told["stream"] in ("btcusdt@bookTicker", "ethusdt@depth")
    assert listed["result"] == ["btcusdt@bookTicker"]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("full", 200, None), ("no_read", 401, -2015), ("frozen", 401, -2017), ("expired", 401, -2015)],
)
async def test_an_account_is_followed_by_those_who_may_read_it(
    sandbox: RunningSandbox, name: str, status: int, code: int | None
) -> None:
    params = signed(sandbox.account("binance", name))
    request = {"id": "a", "method": "userDataStream.subscribe.signature", "params": params}
    async with connected(sandbox, "/ws-api/v3") as connection:
        told = await asked(connection, request)

    assert (told["id"], told["status"]) == ("a", status)
    assert told.get("error", {}).get("code") == code


async def test_a_wrong_signature_follows_nobody(sandbox: RunningSandbox) -> None:
    params = signed(sandbox.account("binance", "full")) | {"signature": "0" * 64}
    request = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
    async with connected(sandbox, "/ws-api/v3") as connection:
        told = await asked(connection, request)

    assert (told["status"], told["error"]["code"]) == (400, -1022)


async def test_requests_are_answered_as_over_http(sandbox: RunningSandbox) -> None:
    account = sandbox.account("binance", "transfer_enabled")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    async with connected(sandbox, "/ws-api/v3") as connection:
        depth = await asked(
            connection, {"id": 1, "method": "depth", "params": {"symbol": "BTCUSDT", "limit": 5}}
        )
        placed = await asked(
            connection,
            {
                "id": 2,
                "method": "order.place",
                "params": signed(account, **order, quantity="0.01", price="30000"),
            },
        )
        unknown = await asked(connection, {"id": 3, "method": "order.amend", "params": {}})

    assert len(depth["result"]["bids"]) == 5
    assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
    assert (unknown["status"], unknown["error"]["code"]) == (400, -1000)


async def test_other_exchanges_have_no_websocket_here(sandbox: RunningSandbox) -> None:
    address = sandbox.url("okx").replace("http", "ws", 1) + "/ws/v5/public"
    with pytest.raises(InvalidStatus):
        await connect(address)
