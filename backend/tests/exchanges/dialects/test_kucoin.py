import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.dialects.kucoin import KucoinDialect
from backend.app.exchanges.key_information import Balance, KeyInformation
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import Right, SigningKeys, WireRequest
from backend.tests.support.ccxt_signing import signed_by_ccxt
from backend.tests.support.dialects import (
    KEYS,
    NOW_MS,
    forgeries,
    hostile_bodies,
    wire_requests,
)

KUCOIN = KucoinDialect()
ASKED = WireRequest("GET", "/api/v1/accounts", "type=trade")
CALLS = [
    ("GET", ["private"], "accounts", {"type": "trade"}),
    ("GET", ["private"], "user/api-key", {}),
    ("GET", ["private"], "orders", {"status": "active", "symbol": "BTC-USDT", "odd": "a b,c/é"}),
    ("POST", ["private"], "orders", {"symbol": "BTC-USDT", "side": "buy", "price": "1"}),
    ("DELETE", ["private"], "orders/{orderId}", {"orderId": "5bd6e9286d99522a52e458de"}),
    ("GET", ["utaPrivate"], "account/mode", {}),
]


@pytest.mark.parametrize(("method", "api", "path", "params"), CALLS)
def test_what_ccxt_signs_is_accepted(
    method: str, api: list[str], path: str, params: dict[str, Any]
) -> None:
    sent = signed_by_ccxt("kucoin", method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    assert KUCOIN.api_key_in(sent) == KEYS.api_key
    assert KUCOIN.check(sent, KEYS, NOW_MS) is None


@pytest.mark.parametrize(("method", "api", "path", "params"), CALLS)
def test_it_signs_as_ccxt_does(
    method: str, api: list[str], path: str, params: dict[str, Any]
) -> None:
    sent = signed_by_ccxt("kucoin", method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    signed = KUCOIN.sign(replace(sent, headers={}), KEYS, NOW_MS)

    ours = {name: text for name, text in signed.headers.items() if name.startswith("kc-api-")}
    assert ours.items() <= sent.headers.items()


@given(wire_requests)
def test_what_it_signs_it_accepts(asked: WireRequest) -> None:
    assert KUCOIN.check(KUCOIN.sign(asked, KEYS, NOW_MS), KEYS, NOW_MS) is None


@given(forgeries(KUCOIN))
def test_one_changed_byte_is_refused(forgery: tuple[WireRequest, SigningKeys, int]) -> None:
    assert KUCOIN.check(*forgery) is not None


def test_another_method_is_refused() -> None:
    signed = KUCOIN.sign(ASKED, KEYS, NOW_MS)

    assert KUCOIN.check(replace(signed, method="DELETE"), KEYS, NOW_MS) is Reason.BAD_SIGNATURE


def test_signing_again_replaces_everything_the_request_carried() -> None:
    old = signed_by_ccxt("kucoin", "GET", "accounts", ["private"], {}, keys=KEYS, now_ms=NOW_MS)
    other = SigningKeys("another-key", "another-secret", "another-phrase")

    signed = KUCOIN.sign(old, other, NOW_MS + 1)

    assert KUCOIN.check(signed, other, NOW_MS + 1) is None
    assert not any(name.startswith("kc-api-partner") for name in signed.headers)


def test_a_key_of_version_one_sends_its_passphrase_in_clear() -> None:
    signed = KUCOIN.sign(ASKED, KEYS, NOW_MS)
    clear = {
        **signed.headers,
        "kc-api-key-version": "1",
        "kc-api-passphrase": "phrase-of-a-test",
    }

    assert KUCOIN.check(replace(signed, headers=clear), KEYS, NOW_MS) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kc-api-timestamp": str(NOW_MS - 5_001), "kc-api-sign": "x"}, Reason.CLOCK_SKEW),
        ({"kc-api-timestamp": str(NOW_MS + 5_001)}, Reason.CLOCK_SKEW),
        ({"kc-api-timestamp": "soon", "kc-api-passphrase": "x"}, Reason.CLOCK_SKEW),
        ({"kc-api-passphrase": "x", "kc-api-sign": "x"}, Reason.WRONG_PASSPHRASE),
        ({"kc-api-key-version": "9"}, Reason.WRONG_PASSPHRASE),
        ({"kc-api-sign": "x"}, Reason.BAD_SIGNATURE),
        ({"kc-api-sign": "\udcff"}, Reason.BAD_SIGNATURE),
        ({"kc-api-timestamp": str(NOW_MS - 5_000)}, Reason.BAD_SIGNATURE),
    ],
)
def test_time_is_checked_before_passphrase_before_signature(
    change: dict[str, str], reason: Reason
) -> None:
    signed = KUCOIN.sign(ASKED, KEYS, NOW_MS)

    asked = replace(signed, headers={**signed.headers, **change})

    assert KUCOIN.check(asked, KEYS, NOW_MS) is reason


def test_a_wrong_secret_is_told_as_a_wrong_passphrase() -> None:
    signed = KUCOIN.sign(ASKED, replace(KEYS, api_secret="mistyped"), NOW_MS)

    assert KUCOIN.check(signed, KEYS, NOW_MS) is Reason.WRONG_PASSPHRASE


@pytest.mark.parametrize("key", ["", "a b", "ключ", "a\udcff", "k" * 257])
def test_what_is_no_plain_text_names_no_key(key: str) -> None:
    headers = {"kc-api-key": key}

    assert KUCOIN.api_key_in(replace(ASKED, headers=headers)) is None


def test_an_unsigned_request_names_no_key_and_is_refused() -> None:
    assert KUCOIN.api_key_in(ASKED) is None
    assert KUCOIN.check(ASKED, KEYS, NOW_MS) is Reason.CLOCK_SKEW


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("GET /api/v1/timestamp", Right.PUBLIC),
        ("GET /api/v1/user/api-key", Right.KEY),
        ("GET /api/v1/accounts", Right.READ),
        ("GET /api/v1/orders/5bd6e9286d99522a52e458de", Right.READ),
        ("POST /api/v1/orders", Right.TRADE),
        ("DELETE /api/v1/hf/orders/5bd6e9286d99522a52e458de", Right.TRADE),
        ("POST /api/v3/accounts/universal-transfer", Right.TRANSFER),
        ("POST /api/v3/withdrawals", Right.WITHDRAW),
        ("DELETE /api/v1/withdrawals/1", Right.WITHDRAW),
        ("POST /api/v1/sub/api-key", Right.UNLISTED),
        ("POST /api/v1/accounts", Right.UNLISTED),
        ("GET /api/v1/orders/../withdrawals", Right.UNLISTED),
    ],
)
def test_each_path_needs_its_right(asked: str, right: Right) -> None:
    assert KUCOIN.right_needed(WireRequest(*asked.split())) is right


@pytest.mark.parametrize(
    ("status", "code", "text", "reason", "address"),
    [
        (401, "400001", "", Reason.UNKNOWN, None),
        (401, "400002", "Invalid KC-API-TIMESTAMP", Reason.CLOCK_SKEW, None),
        (401, "400003", "KC-API-KEY not exists", Reason.INVALID_KEY, None),
        (401, "400003", "The API key does not exist or site mismatch.", Reason.INVALID_KEY, None),
        (401, "400004", "Invalid KC-API-PASSPHRASE", Reason.WRONG_PASSPHRASE, None),
        (401, "400005", "Invalid KC-API-SIGN", Reason.BAD_SIGNATURE, None),
        (
            401,
            "400006",
            "Invalid request ip, the current clientIp is:203.0.113.7",
            Reason.IP_NOT_ALLOWED,
            "203.0.113.7",
        ),
        (
            401,
            "400006",
            "the current clientIp is:2001:db8::7",
            Reason.IP_NOT_ALLOWED,
            "2001:db8::7",
        ),
        (401, "400006", "the current clientIp is:999.1.1.1", Reason.IP_NOT_ALLOWED, None),
        (401, "400007", "require more permission 203.0.113.7", Reason.PERMISSION_MISSING, None),
        (400, "130201", "", Reason.ACCOUNT_RESTRICTED, None),
        (400, "130302", "", Reason.ACCOUNT_RESTRICTED, None),
        (400, "112010", "Invalid Unified Account user.", Reason.PERMISSION_MISSING, None),
        (400, "400303", "complete the identity verification", Reason.ACCOUNT_RESTRICTED, None),
        (400, "400500", "", Reason.REGION_RESTRICTED, None),
        (429, "429000", "Too many requests.", Reason.RATE_LIMITED, None),
        (400, "200002", "Exceeded the access frequency", Reason.RATE_LIMITED, None),
        (500, "500000", "Internal Server Error", Reason.EXCHANGE_UNAVAILABLE, None),
        (400, "400100", "Bad request", Reason.UNKNOWN, None),
    ],
)
def test_a_refusal_is_read_by_its_code(
    status: int, code: str, text: str, reason: Reason, address: str | None
) -> None:
    body = json.dumps({"code": code, "msg": text})

    assert KUCOIN.classify(status, body) == Refusal(reason, code, address)


@pytest.mark.parametrize(
    "body",
    ["", "null", "{}", "[]", "<html>", '{"code":"200000","data":[]}', '{"code":"a b"}'],
)
def test_a_body_without_a_refusal_is_left_to_the_general_rule(body: str) -> None:
    assert KUCOIN.classify(200, body) is None


@given(st.integers(), hostile_bodies)
def test_no_answer_makes_the_classification_fail(status: int, body: str) -> None:
    assert isinstance(KUCOIN.classify(status, body), Refusal | None)


@pytest.mark.parametrize("reason", Reason)
def test_a_rendered_refusal_is_read_as_what_it_says(reason: Reason) -> None:
    nearest = {
        Reason.KEY_EXPIRED: Reason.INVALID_KEY,
        Reason.WRONG_ENVIRONMENT: Reason.INVALID_KEY,
        Reason.AMBIGUOUS_CREDENTIALS: Reason.INVALID_KEY,
    }

    answer = KUCOIN.render_refusal(reason, ASKED, "198.51.100.9")

    told = KUCOIN.classify(answer.status, answer.body.decode())
    assert told is not None
    assert told.reason is nearest.get(reason, reason)
    assert told.seen_address == ("198.51.100.9" if reason is Reason.IP_NOT_ALLOWED else None)


def test_only_the_trading_accounts_count_as_spot() -> None:
    rows = [
        {"currency": "USDT", "type": "trade", "balance": "3", "available": "1.5", "holds": "1.5"},
        {"currency": "USDT", "type": "trade_hf", "available": Decimal("2.5"), "holds": 0},
        {"currency": "BTC", "type": "main", "available": "7", "holds": "0"},
        {"currency": "ETH", "type": "trade", "available": "0", "holds": "0.00"},
    ]

    read = KUCOIN.read_balances([{"code": "200000", "data": rows}])

    assert read == (Balance("USDT", Decimal("4.0"), Decimal("1.5")),)


@pytest.mark.parametrize("amount", ["NaN", "-1", "Infinity", 1.5, True, None, "", [], "1_0"])
def test_an_amount_that_is_none_is_not_the_exchange(amount: Any) -> None:
    row = {"currency": "BTC", "type": "trade", "available": amount, "holds": "0"}

    with pytest.raises(NotTheExchange):
        KUCOIN.read_balances([{"code": "200000", "data": [row]}])


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"data": []}, {"code": "400003", "data": []}, {"code": "200000"}, "<html>"],
)
def test_an_answer_without_the_success_marker_is_not_the_exchange(answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        KUCOIN.read_balances([answer])


@pytest.mark.parametrize(
    ("permission", "read", "trade", "withdraw", "transfer"),
    [
        ("", Known.NO, Known.NO, Known.NO, Known.NO),
        ("General", Known.YES, Known.NO, Known.NO, Known.NO),
        ("General, Spot", Known.YES, Known.YES, Known.NO, Known.NO),
        ("General,Trade", Known.YES, Known.YES, Known.NO, Known.NO),
        ("General,Spot,InnerTransfer", Known.YES, Known.YES, Known.NO, Known.YES),
        ("General,Transfer", Known.YES, Known.NO, Known.YES, Known.YES),
        ("General,Withdrawal", Known.YES, Known.NO, Known.YES, Known.NO),
        ("General,Teleport", Known.YES, Known.UNKNOWN, Known.UNKNOWN, Known.UNKNOWN),
    ],
)
def test_rights_are_read_from_their_documented_words(
    permission: str, read: Known, trade: Known, withdraw: Known, transfer: Known
) -> None:
    answer = {"code": "200000", "data": {"permission": permission}}

    told = KUCOIN.read_key_information([answer], KEYS.api_key)

    assert (told.can_read, told.can_trade) == (read, trade)
    assert (told.can_withdraw, told.can_transfer) == (withdraw, transfer)


def test_addresses_owner_and_standing_are_read() -> None:
    data = {
        "permission": "General",
        "ipWhitelist": "192.0.2.1,192.0.2.2",
        "uid": 135790,
        "isMaster": False,
    }

    told = KUCOIN.read_key_information([{"code": "200000", "data": data}], KEYS.api_key)

    assert told.ip_restricted is Known.YES
    assert told.ip_addresses == ("192.0.2.1", "192.0.2.2")
    assert told.owner_uid == "135790"
    assert told.is_sub_account is Known.YES
    assert told.expires_at is None


def test_a_key_without_a_list_is_bound_to_no_address() -> None:
    answer = {"code": "200000", "data": {"permission": "General"}}

    told = KUCOIN.read_key_information([answer], KEYS.api_key)

    assert (told.ip_restricted, told.ip_addresses) == (Known.NO, ())
    assert told.is_sub_account is Known.UNKNOWN


def test_a_refused_call_leaves_everything_unknown() -> None:
    assert KUCOIN.read_key_information([None], KEYS.api_key) == KeyInformation()


@pytest.mark.parametrize("data", [None, {}, [], {"permission": None}, {"permission": 1.5}])
def test_key_information_of_another_form_is_not_the_exchange(data: Any) -> None:
    with pytest.raises(NotTheExchange):
        KUCOIN.read_key_information([{"code": "200000", "data": data}], KEYS.api_key)
