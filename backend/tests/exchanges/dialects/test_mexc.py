import hmac
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.dialects.mexc import MexcDialect
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

MEXC = MexcDialect()
ASKED = WireRequest("GET", "/api/v3/openOrders", "symbol=BTCUSDT")
CALLS = [
    ("GET", ["spot", "private"], "account", {}),
    ("GET", ["spot", "private"], "apiKeyInfo", {"accessKey": KEYS.api_key}),
    ("GET", ["spot", "private"], "openOrders", {"symbol": "BTCUSDT", "odd": "a b&c=d/é"}),
    ("POST", ["spot", "private"], "order", {"symbol": "BTCUSDT", "side": "BUY", "price": "1"}),
    ("DELETE", ["spot", "private"], "order", {"symbol": "BTCUSDT", "orderId": "C02"}),
]


@pytest.mark.parametrize(("method", "api", "path", "params"), CALLS)
def test_what_ccxt_signs_is_accepted(
    method: str, api: list[str], path: str, params: dict[str, Any]
) -> None:
    sent = signed_by_ccxt("mexc", method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    assert MEXC.api_key_in(sent) == KEYS.api_key
    assert MEXC.check(sent, KEYS, NOW_MS) is None


@pytest.mark.parametrize(("method", "api", "path", "params"), CALLS)
def test_it_signs_as_ccxt_does(
    method: str, api: list[str], path: str, params: dict[str, Any]
) -> None:
    sent = signed_by_ccxt("mexc", method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    signed = MEXC.sign(replace(sent, headers={}), KEYS, NOW_MS)

    assert signed.query == sent.query
    assert signed.headers["x-mexc-apikey"] == sent.headers["x-mexc-apikey"]


@given(wire_requests)
def test_what_it_signs_it_accepts(asked: WireRequest) -> None:
    assert MEXC.check(MEXC.sign(asked, KEYS, NOW_MS), KEYS, NOW_MS) is None


@given(
    forgeries(
        MEXC, SigningKeys("key-of-a-test", "secret-of-a-test"), signed_parts=("query", "body")
    )
)
def test_one_changed_byte_is_refused(forgery: tuple[WireRequest, SigningKeys, int]) -> None:
    assert MEXC.check(*forgery) is not None


def test_signing_again_replaces_everything_the_request_carried() -> None:
    other = SigningKeys("another-key", "another-secret")

    signed = MEXC.sign(MEXC.sign(ASKED, KEYS, NOW_MS), other, NOW_MS + 90_000)

    assert MEXC.api_key_in(signed) == "another-key"
    assert signed.query.count("timestamp=") == signed.query.count("signature=") == 1
    assert MEXC.check(signed, other, NOW_MS + 90_000) is None


def signed_with(query: str) -> WireRequest:
    signature = hmac.digest(b"secret-of-a-test", query.encode(), "sha256").hex()
    headers = {"x-mexc-apikey": KEYS.api_key}
    return WireRequest("GET", "/api/v3/account", f"{query}&signature={signature}", headers)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (f"timestamp={NOW_MS}", None),
        (f"timestamp={NOW_MS - 5_000}", None),
        (f"timestamp={NOW_MS - 5_001}", Reason.CLOCK_SKEW),
        (f"timestamp={NOW_MS + 999}", None),
        (f"timestamp={NOW_MS + 1_000}", Reason.CLOCK_SKEW),
        (f"timestamp={NOW_MS - 60_000}&recvWindow=60000", None),
        (f"timestamp={NOW_MS - 60_001}&recvWindow=60000", Reason.CLOCK_SKEW),
        (f"timestamp={NOW_MS}&recvWindow=60001", Reason.CLOCK_SKEW),
        (f"timestamp={NOW_MS}&recvWindow=all", Reason.CLOCK_SKEW),
        (f"timestamp={NOW_MS}&recvWindow=", Reason.CLOCK_SKEW),
        (f"timestamp={NOW_MS}&recvWindow=0", Reason.CLOCK_SKEW),
        ("timestamp=soon", Reason.CLOCK_SKEW),
        ("symbol=BTCUSDT", Reason.CLOCK_SKEW),
    ],
)
def test_the_request_asks_for_its_own_window(query: str, reason: Reason | None) -> None:
    assert MEXC.check(signed_with(query), KEYS, NOW_MS) is reason


def test_the_signature_may_stand_anywhere_in_the_query() -> None:
    *others, signature = signed_with(f"symbol=BTCUSDT&timestamp={NOW_MS}").query.split("&")
    headers = {"x-mexc-apikey": KEYS.api_key}
    asked = WireRequest("GET", "/api/v3/account", "&".join([signature, *others]), headers)

    assert MEXC.check(asked, KEYS, NOW_MS) is None


@pytest.mark.parametrize("key", ["", "a b", "ключ", "a\udcff", "k" * 257])
def test_what_is_no_plain_text_names_no_key(key: str) -> None:
    headers = {"x-mexc-apikey": key}

    assert MEXC.api_key_in(replace(ASKED, headers=headers)) is None


def test_two_signatures_are_none() -> None:
    signed = MEXC.sign(ASKED, KEYS, NOW_MS)

    asked = replace(signed, query=f"{signed.query}&signature=x")

    assert MEXC.check(asked, KEYS, NOW_MS) is Reason.BAD_SIGNATURE


def test_an_unsigned_request_names_no_key_and_is_refused() -> None:
    in_time = replace(ASKED, query=f"timestamp={NOW_MS}")

    assert MEXC.api_key_in(ASKED) is None
    assert MEXC.check(ASKED, KEYS, NOW_MS) is Reason.CLOCK_SKEW
    assert MEXC.check(in_time, KEYS, NOW_MS) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("GET /api/v3/time", Right.PUBLIC),
        ("GET /api/v1/contract/detail", Right.PUBLIC),
        ("GET /api/v3/apiKeyInfo", Right.KEY),
        ("POST /api/v3/apiKeyInfo", Right.UNLISTED),
        ("GET /api/v3/account", Right.READ),
        ("GET /api/v3/capital/config/getall", Right.READ),
        ("POST /api/v3/order", Right.TRADE),
        ("DELETE /api/v3/order", Right.TRADE),
        ("POST /api/v3/capital/transfer", Right.TRANSFER),
        ("POST /api/v3/capital/transfer/internal", Right.WITHDRAW),
        ("POST /api/v3/capital/withdraw", Right.WITHDRAW),
        ("POST /api/v3/sub-account/apiKey", Right.UNLISTED),
    ],
)
def test_each_path_needs_its_right(asked: str, right: Right) -> None:
    assert MEXC.right_needed(WireRequest(*asked.split())) is right


@pytest.mark.parametrize(
    ("status", "code", "text", "reason", "address"),
    [
        (400, 10072, "Api key info invalid", Reason.INVALID_KEY, None),
        (400, 700002, "Signature for this request is not valid.", Reason.BAD_SIGNATURE, None),
        (400, 700001, "Signature for this request is not valid.", Reason.BAD_SIGNATURE, None),
        (
            400,
            700006,
            "IP [203.0.113.7] not in the ip white list",
            Reason.IP_NOT_ALLOWED,
            "203.0.113.7",
        ),
        (400, 700007, "No permission to access the endpoint", Reason.PERMISSION_MISSING, None),
        (400, 700003, "outside of the recvWindow.", Reason.CLOCK_SKEW, None),
        (400, 700005, "recvWindow must less than 60000", Reason.CLOCK_SKEW, None),
        (400, 402, "API Key expired", Reason.KEY_EXPIRED, None),
        (429, 429, "Too Many Requests", Reason.RATE_LIMITED, None),
        (400, 510, "Requests are too frequent", Reason.RATE_LIMITED, None),
        (400, 30018, "", Reason.ACCOUNT_RESTRICTED, None),
        (400, 730100, "Unusual user status", Reason.ACCOUNT_RESTRICTED, None),
        (400, 801, "", Reason.EXCHANGE_UNAVAILABLE, None),
        (400, 604, "", Reason.EXCHANGE_UNAVAILABLE, None),
        (500, 500, "Under maintenance", Reason.EXCHANGE_UNAVAILABLE, None),
        (400, 98765, "System under Maintenance", Reason.EXCHANGE_UNAVAILABLE, None),
        (400, -1121, "Invalid symbol.", Reason.UNKNOWN, None),
    ],
)
def test_a_refusal_is_read_by_its_code(
    status: int, code: int, text: str, reason: Reason, address: str | None
) -> None:
    for body in ({"code": code, "msg": text}, {"success": False, "code": code, "message": text}):
        told = MEXC.classify(status, json.dumps(body))

        assert told == Refusal(reason, str(code), address)


@pytest.mark.parametrize(
    "body",
    ["", "null", "{}", "[]", "<html>", '{"code":0}', '{"code":200}', '{"success":true,"code":7}'],
)
def test_a_body_without_a_refusal_is_left_to_the_general_rule(body: str) -> None:
    assert MEXC.classify(200, body) is None


@given(st.integers(), hostile_bodies)
def test_no_answer_makes_the_classification_fail(status: int, body: str) -> None:
    assert isinstance(MEXC.classify(status, body), Refusal | None)


@pytest.mark.parametrize("reason", Reason)
def test_a_rendered_refusal_is_read_as_what_it_says(reason: Reason) -> None:
    nearest = {
        Reason.WRONG_PASSPHRASE: Reason.BAD_SIGNATURE,
        Reason.WRONG_ENVIRONMENT: Reason.INVALID_KEY,
        Reason.AMBIGUOUS_CREDENTIALS: Reason.INVALID_KEY,
        Reason.REGION_RESTRICTED: Reason.UNKNOWN,
    }

    answer = MEXC.render_refusal(reason, ASKED, "198.51.100.9")

    told = MEXC.classify(answer.status, answer.body.decode())
    assert told is not None
    assert told.reason is nearest.get(reason, reason)
    assert told.seen_address == ("198.51.100.9" if reason is Reason.IP_NOT_ALLOWED else None)


def test_balances_are_read_by_asset() -> None:
    rows = [
        {"asset": "USDT", "free": "1.50", "locked": Decimal("0.5")},
        {"asset": "BTC", "free": "0", "locked": "0"},
    ]

    read = MEXC.read_balances([{"canTrade": True, "balances": rows}])

    assert read == (Balance("USDT", Decimal("1.50"), Decimal("0.5")),)


@pytest.mark.parametrize("amount", ["NaN", "-1", "Infinity", 1.5, True, None, "", [], "1_0"])
def test_an_amount_that_is_none_is_not_the_exchange(amount: Any) -> None:
    with pytest.raises(NotTheExchange):
        MEXC.read_balances([{"balances": [{"asset": "BTC", "free": amount, "locked": "0"}]}])


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"balances": None}, {"balances": [1]}, {"code": 10072}, "<html>"]
)
def test_an_answer_of_another_form_is_not_the_exchange(answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        MEXC.read_balances([answer])


@pytest.mark.parametrize(
    ("permissions", "read", "trade", "withdraw", "transfer"),
    [
        ("SPOT_ACCOUNT_READ", Known.YES, Known.NO, Known.NO, Known.NO),
        ("SPOT_ACCOUNT_READ,SPOT_DEAL_READ", Known.YES, Known.NO, Known.NO, Known.NO),
        ("SPOT_ACCOUNT_READ,SPOT_DEAL_WRITE", Known.YES, Known.YES, Known.NO, Known.NO),
        ("SPOT_ACCOUNT_READ,SPOT_WITHDRAW_WRITE", Known.YES, Known.NO, Known.YES, Known.NO),
        ("SPOT_TRANSFER_WRITE", Known.NO, Known.NO, Known.NO, Known.YES),
        ("", Known.NO, Known.NO, Known.NO, Known.NO),
        ("CONTRACT_DEAL_WRITE", Known.NO, Known.NO, Known.NO, Known.NO),
        ("SPOT_ACCOUNT_READ,SPOT_X_WRITE", Known.YES, *[Known.UNKNOWN] * 3),
    ],
)
def test_rights_are_read_from_their_documented_words(
    permissions: str, read: Known, trade: Known, withdraw: Known, transfer: Known
) -> None:
    told = MEXC.read_key_information([{"permissions": permissions}], KEYS.api_key)

    assert (told.can_read, told.can_trade) == (read, trade)
    assert (told.can_withdraw, told.can_transfer) == (withdraw, transfer)


@pytest.mark.parametrize(
    ("listed", "restricted", "addresses"),
    [
        ({"ipWhiteList": "192.0.2.1,192.0.2.2"}, Known.YES, ("192.0.2.1", "192.0.2.2")),
        ({"ipWhiteList": ""}, Known.NO, ()),
        ({}, Known.UNKNOWN, None),
    ],
)
def test_the_address_list_is_read(
    listed: dict[str, str], restricted: Known, addresses: tuple[str, ...] | None
) -> None:
    answer = {"permissions": "SPOT_ACCOUNT_READ", "status": "VALID", **listed}

    told = MEXC.read_key_information([answer], KEYS.api_key)

    assert (told.ip_restricted, told.ip_addresses) == (restricted, addresses)


@pytest.mark.parametrize(
    ("told", "days"), [(90, 90), ("7", 7), (None, None), ("", None), (-1, None)]
)
def test_the_days_that_remain_are_read(told: Any, days: int | None) -> None:
    answer = {"permissions": "SPOT_DEAL_WRITE", "remainingValidity": told}

    assert MEXC.read_key_information([answer], KEYS.api_key).remaining_days == days


def test_the_rights_of_a_key_that_is_not_valid_stay_unknown() -> None:
    answer = {"permissions": "SPOT_DEAL_WRITE", "status": "FROZEN"}

    assert MEXC.read_key_information([answer], KEYS.api_key) == KeyInformation()


def test_a_refused_call_leaves_everything_unknown() -> None:
    assert MEXC.read_key_information([None], KEYS.api_key) == KeyInformation()


@pytest.mark.parametrize("answer", [[], {}, {"permissions": []}, {"permissions": None}, "<html>"])
def test_key_information_of_another_form_is_not_the_exchange(answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        MEXC.read_key_information([answer], KEYS.api_key)
