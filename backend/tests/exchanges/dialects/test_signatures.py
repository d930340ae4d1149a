"""Signing and checking: one text, nothing of it may change, and CCXT writes the same one.

The keys here are made up and belong to no exchange.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import dialect
from backend.app.exchanges.wire import SigningKeys, WireRequest
from backend.tests.support.ccxt_signing import signed_by_ccxt

NOW_MS = 1_795_244_895_298
KEYS = SigningKeys("ours-0001", "not a secret of any exchange", "words")
SIGNERS = ("binance", "okx", "bybit", "htx")
READ_PATHS = {
    "binance": "/api/v3/account",
    "okx": "/api/v5/account/balance",
    "bybit": "/v5/account/wallet-balance",
    "htx": "/v1/account/accounts",
}
# HTX does not sign the body of a POST.
BODY_SIGNERS = ("binance", "okx", "bybit")

QUERIES = st.text("abcXYZ019=&%+-._~/:,@[]'\"{}", max_size=60)
BODIES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)


def signed(exchange: str, method: str, query: str = "", body: str = "") -> WireRequest:
    asked = WireRequest(method, READ_PATHS[exchange], query, {}, body.encode())
    return dialect(exchange).sign(asked, KEYS, NOW_MS)


def judged(exchange: str, request: WireRequest, keys: SigningKeys = KEYS, at: int = NOW_MS) -> Any:
    return dialect(exchange).check(request, keys, at)


def flipped(text: str, position: int) -> str:
    """Return the text with the lowest bit of one character turned."""
    at = position % len(text)
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("exchange", SIGNERS)
@given(query=QUERIES)
def test_a_signed_query_is_accepted(exchange: str, method: str, query: str) -> None:
    assert judged(exchange, signed(exchange, method, query)) is None


@pytest.mark.parametrize("exchange", SIGNERS)
@given(body=BODIES)
def test_a_signed_body_is_accepted(exchange: str, body: str) -> None:
    assert judged(exchange, signed(exchange, "POST", body=body)) is None


@pytest.mark.parametrize("exchange", SIGNERS)
def test_a_body_that_is_no_text_is_signed_byte_for_byte(exchange: str) -> None:
    asked = WireRequest("POST", READ_PATHS[exchange], body=b"a=\xff\xfe")

    request = dialect(exchange).sign(asked, KEYS, NOW_MS)

    assert judged(exchange, request) is None
    assert request.body.startswith(b"a=\xff\xfe")


@pytest.mark.parametrize("exchange", SIGNERS)
@given(query=QUERIES, position=st.integers(0, 10_000))
def test_one_flipped_bit_in_the_query_is_refused(exchange: str, query: str, position: int) -> None:
    request = signed(exchange, "GET", f"symbol=BTC-USDT&{query}")

    changed = replace(request, query=flipped(request.query, position))

    assert judged(exchange, changed) is not None


@pytest.mark.parametrize("exchange", BODY_SIGNERS)
@given(body=BODIES, position=st.integers(0, 10_000))
def test_one_flipped_bit_in_the_body_is_refused(exchange: str, body: str, position: int) -> None:
    request = signed(exchange, "POST", body=f"amount=1&{body}")

    changed = replace(request, body=flipped(request.body.decode(), position).encode())

    assert judged(exchange, changed) is not None


def test_htx_leaves_the_body_of_a_post_unsigned() -> None:
    request = signed("htx", "POST", body='{"amount":"1"}')

    assert judged("htx", replace(request, body=b'{"amount":"2"}')) is None


@pytest.mark.parametrize("exchange", ["bybit", "htx"])
def test_a_body_the_signature_does_not_cover_is_refused(exchange: str) -> None:
    request = signed(exchange, "GET", "symbol=BTCUSDT")

    assert judged(exchange, replace(request, body=b"{}")) is Reason.BAD_SIGNATURE


def test_bybit_refuses_a_query_beside_a_signed_body() -> None:
    request = signed("bybit", "POST", body="{}")

    assert judged("bybit", replace(request, query="side=Sell")) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("name", ["method", "path"])
@pytest.mark.parametrize("exchange", ["okx", "htx"])
def test_another_method_or_path_is_refused(exchange: str, name: str) -> None:
    other = {"method": {"method": "DELETE"}, "path": {"path": "/v1/other"}}[name]

    assert judged(exchange, replace(signed(exchange, "GET"), **other)) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("exchange", SIGNERS)
@given(position=st.integers(0, 10_000))
def test_another_secret_is_refused(exchange: str, position: int) -> None:
    other = replace(KEYS, api_secret=flipped(KEYS.api_secret, position))

    assert judged(exchange, signed(exchange, "GET"), other) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("exchange", SIGNERS)
def test_a_request_that_names_another_key_is_refused(exchange: str) -> None:
    other = replace(KEYS, api_key="ours-0002")

    assert judged(exchange, signed(exchange, "GET"), other) is Reason.BAD_SIGNATURE


@given(position=st.integers(0, 10_000))
def test_okx_tells_another_passphrase_apart_from_another_secret(position: int) -> None:
    other = replace(KEYS, passphrase=flipped("words", position))

    assert judged("okx", signed("okx", "GET"), other) is Reason.WRONG_PASSPHRASE


def test_okx_refuses_any_passphrase_where_none_is_stored() -> None:
    other = replace(KEYS, passphrase=None)

    assert judged("okx", signed("okx", "GET"), other) is Reason.WRONG_PASSPHRASE


@pytest.mark.parametrize(
    ("exchange", "behind_ms", "ahead_ms"),
    [
        ("binance", 5_000, 1_000),
        ("okx", 30_000, 30_000),
        ("bybit", 5_000, 999),
        # HTX reads whole seconds; the request at 298 ms past says it left at the full second.
        ("htx", 300_000 - 298, 300_000 + 298),
    ],
)
def test_a_time_is_accepted_to_the_ends_of_the_window(
    exchange: str, behind_ms: int, ahead_ms: int
) -> None:
    request = signed(exchange, "GET")

    assert judged(exchange, request, at=NOW_MS + behind_ms) is None
    assert judged(exchange, request, at=NOW_MS + behind_ms + 1) is Reason.CLOCK_SKEW
    assert judged(exchange, request, at=NOW_MS - ahead_ms) is None
    assert judged(exchange, request, at=NOW_MS - ahead_ms - 1) is Reason.CLOCK_SKEW


@pytest.mark.parametrize("exchange", SIGNERS)
def test_an_unsigned_request_is_refused(exchange: str) -> None:
    assert judged(exchange, WireRequest("GET", READ_PATHS[exchange])) is Reason.CLOCK_SKEW


def test_binance_honours_the_window_a_request_asks_for() -> None:
    request = signed("binance", "GET", "recvWindow=1000")

    assert judged("binance", request, at=NOW_MS + 1_000) is None
    assert judged("binance", request, at=NOW_MS + 1_001) is Reason.CLOCK_SKEW


@pytest.mark.parametrize("window", ["60001", "-1", "", "5e3", "٥٠٠٠"])
def test_binance_refuses_a_window_it_cannot_grant(window: str) -> None:
    request = signed("binance", "GET", f"recvWindow={window}")

    assert judged("binance", request) is Reason.CLOCK_SKEW


@pytest.mark.parametrize("window", ["60001", "-1", "5e3"])
def test_bybit_refuses_a_window_it_cannot_grant(window: str) -> None:
    asked = WireRequest("GET", "/v5/user/query-api", headers={"x-bapi-recv-window": window})

    assert judged("bybit", dialect("bybit").sign(asked, KEYS, NOW_MS)) is Reason.CLOCK_SKEW


@pytest.mark.parametrize("exchange", ["binance", "htx"])
def test_a_second_signature_is_refused(exchange: str) -> None:
    request = signed(exchange, "GET")
    name = {"binance": "signature", "htx": "Signature"}[exchange]

    changed = replace(request, query=f"{request.query}&{name}=AA")

    assert judged(exchange, changed) is Reason.BAD_SIGNATURE


def test_binance_reads_its_signature_in_any_case() -> None:
    request = signed("binance", "GET")
    head, _, signature = request.query.rpartition("=")

    assert judged("binance", replace(request, query=f"{head}={signature.upper()}")) is None


def test_binance_signs_the_body_right_after_the_query() -> None:
    asked = WireRequest("POST", "/api/v3/order", "symbol=A", body=b"side=BUY")

    request = dialect("binance").sign(asked, KEYS, NOW_MS)

    moved = replace(request, query="", body=b"symbol=A" + request.body)
    assert request.query == "symbol=A"
    assert judged("binance", request) is None
    assert judged("binance", moved) is None


@pytest.mark.parametrize("exchange", SIGNERS)
def test_signing_again_replaces_the_first_signature(exchange: str) -> None:
    once = signed(exchange, "GET", "symbol=BTC-USDT")

    again = dialect(exchange).sign(once, KEYS, NOW_MS)

    assert again == once


@pytest.mark.parametrize("exchange", SIGNERS)
def test_the_key_a_request_names_is_found(exchange: str) -> None:
    assert dialect(exchange).api_key_in(signed(exchange, "GET")) == KEYS.api_key
    assert dialect(exchange).api_key_in(WireRequest("GET", "/")) is None


@pytest.mark.parametrize("key", ["", "a b", "ключ", "a\udcff", "k" * 257])
@pytest.mark.parametrize("name", ["x-mbx-apikey", "ok-access-key", "x-bapi-api-key"])
def test_what_no_exchange_issues_is_no_key(name: str, key: str) -> None:
    request = WireRequest("GET", "/", headers={name: key})

    assert [dialect(exchange).api_key_in(request) for exchange in SIGNERS] == [None] * 4


@pytest.mark.parametrize("query", ["b=2&a=1", "a=1&b=2"])
def test_htx_reads_a_query_in_any_order(query: str) -> None:
    request = signed("htx", "GET", query)
    parts = request.query.split("&")

    assert judged("htx", replace(request, query="&".join(reversed(parts)))) is None


ORDER = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.001", "newClientOrderId": "a b/ü+1"}
CCXT_CALLS = [
    ("binance", "GET", "account", ["private"], {}),
    ("binance", "GET", "openOrders", ["private"], {"symbol": "BTCUSDT"}),
    ("binance", "GET", "ticker/24hr", ["private"], {"symbols": '["A","B"]'}),
    ("binance", "GET", "account/apiRestrictions", ["sapi"], {}),
    ("binance", "POST", "order", ["private"], ORDER),
    ("binance", "POST", "capital/withdraw/apply", ["sapi"], {"address": "a b", "name": "ü"}),
    ("binance", "DELETE", "order", ["private"], {"symbol": "BTCUSDT", "orderId": "7"}),
    ("okx", "GET", "account/balance", ["private"], {}),
    ("okx", "GET", "trade/orders-pending", ["private"], {"instId": "BTC-USDT", "x": "a b/ü"}),
    ("okx", "POST", "trade/cancel-order", ["private"], {"instId": "BTC-USDT", "ordId": "ü"}),
    ("okx", "POST", "trade/batch-orders", ["private"], [{"instId": "BTC-USDT", "clOrdId": "a"}]),
    ("bybit", "GET", "v5/user/query-api", ["private"], {}),
    ("bybit", "GET", "v5/account/wallet-balance", ["private"], {"accountType": "UNIFIED"}),
    ("bybit", "GET", "v5/order/realtime", ["private"], {"symbol": "BTCUSDT", "cursor": "a:b,c"}),
    ("bybit", "POST", "v5/order/create", ["private"], {"symbol": "BTCUSDT", "note": "a b/ü"}),
    ("htx", "GET", "v1/account/accounts", ["spot", "private"], {}),
    (
        "htx",
        "GET",
        "v1/account/accounts/{account-id}/balance",
        ["spot", "private"],
        {"account-id": "7"},
    ),
    ("htx", "GET", "v2/user/api-key", ["spot", "private"], {"uid": "1", "accessKey": "ours-0001"}),
    (
        "htx",
        "GET",
        "v1/order/openOrders",
        ["spot", "private"],
        {"symbol": "a b/ü", "account-id": "7"},
    ),
    ("htx", "POST", "v1/order/orders/place", ["spot", "private"], {"symbol": "btcusdt"}),
    ("htx", "POST", "api/v1/contract_account_info", ["contract", "private"], {"symbol": "BTC"}),
]


@pytest.mark.parametrize(("exchange", "method", "path", "api", "params"), CCXT_CALLS)
async def test_what_ccxt_signs_is_accepted(
    exchange: str, method: str, path: str, api: list[str], params: Any
) -> None:
    request = signed_by_ccxt(exchange, method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    assert judged(exchange, request) is None
    assert judged(exchange, request, replace(KEYS, api_secret="another")) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("exchange", "method", "path", "api", "params"),
    # Binance signs as sent and ours ends with the time, so its signatures are equally valid ones.
    [call for call in CCXT_CALLS if call[0] != "binance"],
)
async def test_signing_gives_the_signature_ccxt_gives(
    exchange: str, method: str, path: str, api: list[str], params: Any
) -> None:
    request = signed_by_ccxt(exchange, method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    ours = dialect(exchange).sign(request, KEYS, NOW_MS)

    assert (ours.query, ours.body) == (request.query, request.body)
    assert request.headers.items() <= ours.headers.items()
