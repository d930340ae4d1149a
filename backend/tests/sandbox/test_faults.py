"""Every fault of the deck as a raw client meets it, and who may set them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import pytest

from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import classify_refusal
from backend.app.exchanges.wire import WireRequest
from backend.app.sandbox.accounts import EXCHANGES
from backend.app.sandbox.app import unix_now_ms
from backend.app.sandbox.fault_control import DECK_MAX_BYTES
from backend.tests.support.sandbox import RunningSandbox, running_sandbox

FAULTS = "/control/faults"
TIME = {
    "binance": "/api/v3/time",
    "okx": "/api/v5/public/time",
    "bybit": "/v5/market/time",
    "htx": "/v1/common/timestamp",
    "kucoin": "/api/v1/timestamp",
    "gate": "/api/v4/spot/time",
    "bitget": "/api/v2/public/time",
    "mexc": "/api/v3/time",
}
BALANCE = {
    "binance": "/api/v3/account",
    "okx": "/api/v5/account/balance",
    "bybit": "/v5/account/wallet-balance?accountType=UNIFIED",
    "htx": "/v1/account/accounts",
    "kucoin": "/api/v1/accounts",
    "gate": "/api/v4/spot/accounts",
    "bitget": "/api/v2/spot/account/assets",
    "mexc": "/api/v3/account",
}
WAITS = {
    "binance": {"retry-after"},
    "okx": set(),
    "bybit": {"x-bapi-limit-status", "x-bapi-limit-reset-timestamp"},
    "htx": {"x-hb-ratelimit-requests-remain", "x-hb-ratelimit-requests-expire"},
    "kucoin": {"gw-ratelimit-remaining", "gw-ratelimit-reset"},
    "gate": {"x-gate-ratelimit-requests-remain", "x-gate-ratelimit-reset-timestamp"},
    "bitget": {"x-mbx-used-remain-limit"},
    "mexc": {"retry-after"},
}


@pytest.fixture(scope="module")
def faulty() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def sandbox(faulty: RunningSandbox) -> Iterator[RunningSandbox]:
    yield faulty
    control(faulty, "DELETE")


def control(
    sandbox: RunningSandbox, method: str, deck: Any = None, **headers: str
) -> tuple[int, str]:
    body = b"" if deck is None else json.dumps(deck).encode()
    return sandbox.send("", WireRequest(method, FAULTS, "", headers, body))


def play(sandbox: RunningSandbox, *rules: Mapping[str, Any], seed: str = "") -> None:
    status, told = control(sandbox, "POST", {"seed": seed, "rules": rules})
    assert status == 200, told


def raw(sandbox: RunningSandbox, exchange: str, path: str) -> tuple[int, Mapping[str, str], bytes]:
    connection = HTTPConnection(urlsplit(sandbox.base_url).netloc, timeout=60)
    with closing(connection):
        connection.request("GET", f"/{exchange}{path}")
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_throttle_speaks_the_exchanges_language(sandbox: RunningSandbox, exchange: str) -> None:
    play(sandbox, {"fault": "throttle", "exchange": exchange, "count": 1})

    status, headers, body = raw(sandbox, exchange, TIME[exchange])

    assert classify_refusal(exchange, status, body.decode()).reason is Reason.RATE_LIMITED
    assert headers.keys() >= WAITS[exchange]
    assert raw(sandbox, exchange, TIME[exchange])[0] == 200


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_maintenance_is_told_in_the_exchanges_words(sandbox: RunningSandbox, exchange: str) -> None:
    play(sandbox, {"fault": "maintenance", "exchange": exchange})

    status, _, body = raw(sandbox, exchange, TIME[exchange])

    assert classify_refusal(exchange, status, body.decode()).reason is Reason.EXCHANGE_UNAVAILABLE


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_clock_that_goes_wrong_tells_the_wrong_time_and_refuses_the_right_one(
    sandbox: RunningSandbox, exchange: str
) -> None:
    keys = sandbox.account(exchange, "full").keys
    ahead_ms = 3_600_000
    play(sandbox, {"fault": "clock_skew", "exchange": exchange, "milliseconds": ahead_ms})

    refused = sandbox.ask(exchange, keys, "GET", BALANCE[exchange])
    aligned = sandbox.ask(exchange, keys, "GET", BALANCE[exchange], now_ms=unix_now_ms() + ahead_ms)
    before_ms = unix_now_ms()
    _, _, told = raw(sandbox, exchange, TIME[exchange])
    first_digits = {str((at_ms + ahead_ms) // 10_000_000) for at_ms in (before_ms, unix_now_ms())}

    # HTX has no code of its own for it, but a text.
    assert classify_refusal(exchange, *refused).reason is Reason.CLOCK_SKEW
    assert aligned[0] == 200
    assert any(digits in told.decode() for digits in first_digits)


def test_html_garbage_and_server_errors_are_what_they_say(sandbox: RunningSandbox) -> None:
    play(
        sandbox,
        {"fault": "html", "exchange": "okx"},
        {"fault": "garbage", "exchange": "gate", "status": 403},
        {"fault": "server_error", "exchange": "mexc"},
        {"fault": "server_error", "exchange": "htx", "status": 503},
    )

    page = raw(sandbox, "okx", TIME["okx"])
    noise = raw(sandbox, "gate", TIME["gate"])

    assert (page[0], page[1]["content-type"], page[2][:15]) == (
        200,
        "text/html",
        b"<!DOCTYPE html>",
    )
    assert (noise[0], noise[1]["content-type"]) == (403, "application/json")
    with pytest.raises(ValueError, match="utf-8"):
        json.loads(noise[2])
    assert raw(sandbox, "mexc", TIME["mexc"])[0] == 500
    assert raw(sandbox, "htx", TIME["htx"])[0] == 503
    assert raw(sandbox, "binance", TIME["binance"])[0] == 200


def test_a_cut_connection_gives_no_answer_and_does_nothing(sandbox: RunningSandbox) -> None:
    keys = sandbox.account("binance", "second").keys
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.01&price=30000"
    play(sandbox, {"fault": "cut", "operation": "trade"})

    with pytest.raises((HTTPException, ConnectionResetError)):
        sandbox.ask("binance", keys, "POST", f"/api/v3/order?{order}")

    assert sandbox.ask("binance", keys, "GET", "/api/v3/openOrders") == (200, "[]")


def test_a_lost_reply_was_done_all_the_same(sandbox: RunningSandbox) -> None:
    keys = sandbox.account("mexc", "second").keys
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.01&price=30000&newClientOrderId=once"
    play(sandbox, {"fault": "lost_reply", "method": "POST", "count": 1})

    with pytest.raises((HTTPException, ConnectionResetError)):
        sandbox.ask("mexc", keys, "POST", f"/api/v3/order?{order}")
    again, _ = sandbox.ask("mexc", keys, "POST", f"/api/v3/order?{order}")
    _, resting = sandbox.ask("mexc", keys, "GET", "/api/v3/openOrders")

    assert again == 400
    assert [line["clientOrderId"] for line in json.loads(resting)] == ["once"]


def test_a_late_answer_is_late_and_whole(sandbox: RunningSandbox) -> None:
    play(sandbox, {"fault": "latency", "milliseconds": 150})
    began = time.monotonic()

    status, _, _ = raw(sandbox, "kucoin", TIME["kucoin"])

    assert status == 200
    assert time.monotonic() - began >= 0.15


def test_the_same_deck_over_the_same_requests_strikes_the_same_ones(
    sandbox: RunningSandbox,
) -> None:
    def struck() -> list[int]:
        play(sandbox, {"fault": "server_error", "percent": 40}, seed="again")
        return [raw(sandbox, "bybit", TIME["bybit"])[0] for _ in range(20)]

    first = struck()

    assert first == struck()
    assert {200, 500} == set(first)


def test_the_deck_in_play_is_shown_and_cleared(sandbox: RunningSandbox) -> None:
    rule = {"fault": "latency", "exchange": "okx", "milliseconds": 1}
    play(sandbox, rule, seed="seed")
    raw(sandbox, "okx", TIME["okx"])
    raw(sandbox, "gate", TIME["gate"])

    shown = json.loads(control(sandbox, "GET")[1])
    cleared = control(sandbox, "DELETE")

    assert shown == {"seed": "seed", "rules": [{**rule, "seen": 1, "struck": 1}]}
    assert cleared == (204, "")
    assert json.loads(control(sandbox, "GET")[1]) == {"seed": "", "rules": []}


@pytest.mark.parametrize(
    ("deck", "field"),
    [
        ({"rules": [{"fault": "cut", "percent": 0}]}, "rules.0.percent"),
        ({"rules": [{"fault": "latency"}]}, "rules.0"),
        ({"seed": 7, "rules": []}, "seed"),
        ({}, "rules"),
        ([], ""),
    ],
    ids=str,
)
def test_a_deck_that_cannot_be_is_refused_by_its_field_and_the_old_one_stays(
    sandbox: RunningSandbox, deck: Any, field: str
) -> None:
    play(sandbox, {"fault": "server_error"})

    status, told = control(sandbox, "POST", deck)

    assert (status, [line["field"] for line in json.loads(told)["errors"]]) == (422, [field])
    assert raw(sandbox, "okx", TIME["okx"])[0] == 500


def test_a_deck_of_any_length_is_not_read(sandbox: RunningSandbox) -> None:
    status, _ = control(sandbox, "POST", {"rules": [], "seed": "x" * DECK_MAX_BYTES})

    assert status == 422


@pytest.mark.parametrize(
    "headers", [{"host": "sandbox.example"}, {"origin": "https://evil.example"}], ids=str
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_nobody_else_may_touch_the_deck(
    sandbox: RunningSandbox, method: str, headers: dict[str, str]
) -> None:
    play(sandbox, {"fault": "server_error"})

    status, told = control(sandbox, method, {"rules": []}, **headers)

    assert (status, "rules" in told) == (403, False)
    assert raw(sandbox, "okx", TIME["okx"])[0] == 500
