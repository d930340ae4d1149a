"""The sandbox as a server: what gets in, what gets a 404, and who may see the control page."""

import json

import pytest

from backend.app.exchanges.reasons import Standing
from backend.app.exchanges.registry import classify_refusal
from backend.app.exchanges.wire import WireRequest
from backend.app.sandbox.accounts import EXCHANGES
from backend.app.sandbox.app import BODY_MAX_BYTES
from backend.app.sandbox.control import is_from_this_machine
from backend.tests.support.sandbox import RunningSandbox

PLACE = {
    "binance": "/api/v3/order",
    "okx": "/api/v5/trade/order",
    "bybit": "/v5/order/create",
    "htx": "/v1/order/orders/place",
    "kucoin": "/api/v1/orders",
    "gate": "/api/v4/spot/orders",
    "bitget": "/api/v2/spot/trade/place-order",
    "mexc": "/api/v3/order",
}
HOSTILE_BODIES = {
    "no JSON": b"{",
    "no object": b"[[]]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "NaN": b'{"symbol": NaN, "instId": NaN, "size": NaN, "sz": Infinity}',
    "a number of 5,000 digits": b'{"size": ' + b"9" * 5_000 + b"}",
    "an exponent": b'{"sz": 1e999999999, "qty": "1e999999999", "amount": "1e-999999999"}',
    "not UTF-8": b"\xff\xfe\x00",
    "many parameters": b"&".join(b"a%d=1" % n for n in range(500)),
}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_path_nobody_listed_is_not_found_and_no_verdict_on_a_key(
    sandbox: RunningSandbox, exchange: str
) -> None:
    keys = sandbox.account(exchange, "full").keys

    status, body = sandbox.ask(exchange, keys, "GET", "/api/v9/nowhere")

    assert status == 404
    assert classify_refusal(exchange, status, body).standing is Standing.NO_VERDICT


def test_an_exchange_nobody_has_is_not_found(sandbox: RunningSandbox) -> None:
    status, _ = sandbox.send("/ninth", WireRequest("GET", "/api/v3/time"))

    assert status == 404


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_body_over_the_limit_is_refused(sandbox: RunningSandbox, exchange: str) -> None:
    body = b"x" * (BODY_MAX_BYTES + 1)

    status, _ = sandbox.ask(exchange, None, "POST", PLACE[exchange], body=body)

    assert status == 413


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("hostile", HOSTILE_BODIES)
def test_a_hostile_order_is_refused_and_nothing_moves(
    sandbox: RunningSandbox, exchange: str, hostile: str
) -> None:
    keys = sandbox.account(exchange, "full").keys

    status, body = sandbox.ask(
        exchange, keys, "POST", PLACE[exchange], body=HOSTILE_BODIES[hostile]
    )

    assert status < 500
    assert isinstance(json.loads(body), dict)


def test_the_control_page_lists_every_account_with_its_key(sandbox: RunningSandbox) -> None:
    status, body = sandbox.send("", WireRequest("GET", "/control/accounts"))
    lines = {(line["exchange"], line["name"]): line for line in json.loads(body)}
    full, expired = lines["okx", "full"], lines["okx", "expired"]

    assert status == 200
    assert len(lines) == len(sandbox.accounts)
    assert full["api_key"] == sandbox.account("okx", "full").keys.api_key
    assert full["passphrase"] == sandbox.account("okx", "full").keys.passphrase
    assert (full["reason"], expired["reason"]) == (None, "invalid_key")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "sandbox.example"},
        {"host": "127.0.0.1.example:8200"},
        {"host": "localhost:8200", "origin": "https://evil.example"},
        {"host": "localhost:8200", "origin": "null"},
        {"host": "[::1"},
        {"host": ""},
    ],
    ids=str,
)
def test_the_control_page_refuses_a_foreign_name(
    sandbox: RunningSandbox, headers: dict[str, str]
) -> None:
    status, body = sandbox.send("", WireRequest("GET", "/control/accounts", headers=headers))

    assert status == 403
    assert "api_key" not in body


@pytest.mark.parametrize(
    "address", ["192.168.1.7", "10.0.0.1", "203.0.113.7", "::ffff:8.8.8.8", "", "nowhere"]
)
def test_the_control_page_refuses_another_machine(address: str) -> None:
    assert not is_from_this_machine(address, "127.0.0.1:8200", None)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.8.8.8"])
def test_the_control_page_is_there_for_this_machine(address: str) -> None:
    assert is_from_this_machine(address, "localhost:8200", "http://127.0.0.1:8000")
