import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.dialects.bitget import BitgetDialect
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

BITGET = BitgetDialect()
ASKED = WireRequest("GET", "/api/v2/spot/trade/unfilled-orders", "symbol=BTCUSDT")
CALLS = [
    ("GET", ["private", "spot"], "v2/spot/account/assets", {}),
    ("GET", ["private", "spot"], "v2/spot/account/info", {}),
    ("GET", ["private", "spot"], "v2/spot/trade/fills", {"symbol": "BTCUSDT", "limit": 5}),
    ("GET", ["private", "spot"], "v2/spot/trade/fills", {"odd": "a b&c=$d/é", "a": "1"}),
    ("GET", ["private", "uta"], "v3/account/settings", {}),
    ("POST", ["private", "spot"], "v2/spot/trade/place-order", {"symbol": "BTCUSDT", "size": "1"}),
    ("POST", ["private", "spot"], "v2/spot/trade/cancel-order", {"orderId": "1"}),
]


@pytest.mark.parametrize(("method", "api", "path", "params"), CALLS)
def test_what_ccxt_signs_is_accepted(
    method: str, api: list[str], path: str, params: dict[str, Any]
) -> None:
    sent = signed_by_ccxt("bitget", method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    assert BITGET.api_key_in(sent) == KEYS.api_key
    assert BITGET.check(sent, KEYS, NOW_MS) is None


@pytest.mark.parametrize(("method", "api", "path", "params"), CALLS)
def test_it_signs_as_ccxt_does(
    method: str, api: list[str], path: str, params: dict[str, Any]
) -> None:
    sent = signed_by_ccxt("bitget", method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    signed = BITGET.sign(replace(sent, headers={}), KEYS, NOW_MS)

    ours = {name: text for name, text in signed.headers.items() if name.startswith("access-")}
    assert ours.items() <= sent.headers.items()


@given(wire_requests)
def test_what_it_signs_it_accepts(asked: WireRequest) -> None:
    assert BITGET.check(BITGET.sign(asked, KEYS, NOW_MS), KEYS, NOW_MS) is None


@given(forgeries(BITGET))
def test_one_changed_byte_is_refused(forgery: tuple[WireRequest, SigningKeys, int]) -> None:
    assert BITGET.check(*forgery) is not None


def test_another_method_is_refused() -> None:
    signed = BITGET.sign(ASKED, KEYS, NOW_MS)

    assert BITGET.check(replace(signed, method="DELETE"), KEYS, NOW_MS) is Reason.BAD_SIGNATURE


def test_signing_again_replaces_everything_the_request_carried() -> None:
    other = SigningKeys("another-key", "another-secret", "another-phrase")

    signed = BITGET.sign(BITGET.sign(ASKED, KEYS, NOW_MS), other, NOW_MS + 90_000)

    assert BITGET.api_key_in(signed) == "another-key"
    assert BITGET.check(signed, other, NOW_MS + 90_000) is None


def test_the_query_is_signed_in_the_order_it_travels() -> None:
    signed = BITGET.sign(replace(ASKED, query="b=2&a=1%2C"), KEYS, NOW_MS)

    assert signed.query == "a=1%2C&b=2"
    assert BITGET.check(replace(signed, query="a=1,&b=2"), KEYS, NOW_MS) is None
    assert BITGET.check(replace(signed, query="b=2&a=1,"), KEYS, NOW_MS) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"access-timestamp": str(NOW_MS - 30_001), "access-sign": "x"}, Reason.CLOCK_SKEW),
        ({"access-timestamp": str(NOW_MS + 30_001)}, Reason.CLOCK_SKEW),
        ({"access-timestamp": "soon", "access-passphrase": "x"}, Reason.CLOCK_SKEW),
        ({"access-passphrase": "x", "access-sign": "x"}, Reason.WRONG_PASSPHRASE),
        ({"access-passphrase": ""}, Reason.WRONG_PASSPHRASE),
        ({"access-sign": "x"}, Reason.BAD_SIGNATURE),
        ({"access-timestamp": str(NOW_MS - 30_000)}, Reason.BAD_SIGNATURE),
        ({"access-key": "another"}, Reason.BAD_SIGNATURE),
    ],
)
def test_time_is_checked_before_passphrase_before_signature(
    change: dict[str, str], reason: Reason
) -> None:
    signed = BITGET.sign(ASKED, KEYS, NOW_MS)

    asked = replace(signed, headers={**signed.headers, **change})

    assert BITGET.check(asked, KEYS, NOW_MS) is reason


@pytest.mark.parametrize("key", ["", "a b", "ключ", "a\udcff", "k" * 257])
def test_what_is_no_plain_text_names_no_key(key: str) -> None:
    headers = {"access-key": key}

    assert BITGET.api_key_in(replace(ASKED, headers=headers)) is None


def test_an_unsigned_request_names_no_key_and_is_refused() -> None:
    assert BITGET.api_key_in(ASKED) is None
    assert BITGET.check(ASKED, KEYS, NOW_MS) is Reason.CLOCK_SKEW


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("GET /api/v2/public/time", Right.PUBLIC),
        ("GET /api/v2/spot/account/info", Right.KEY),
        ("GET /api/v2/spot/account/assets", Right.READ),
        ("GET /api/v3/account/settings", Right.READ),
        ("POST /api/v2/spot/trade/place-order", Right.TRADE),
        ("POST /api/v3/trade/cancel-order", Right.TRADE),
        ("POST /api/v2/spot/wallet/transfer", Right.TRANSFER),
        ("POST /api/v2/spot/wallet/withdrawal", Right.WITHDRAW),
        ("POST /api/v3/account/withdrawal", Right.WITHDRAW),
        ("POST /api/v2/user/create-virtual-subaccount-apikey", Right.UNLISTED),
        ("GET /api/v2/spot/trade/place-order", Right.UNLISTED),
    ],
)
def test_each_path_needs_its_right(asked: str, right: Right) -> None:
    assert BITGET.right_needed(WireRequest(*asked.split())) is right


@pytest.mark.parametrize(
    ("status", "code", "text", "reason", "address"),
    [
        (400, "40037", "Apikey does not exist", Reason.INVALID_KEY, None),
        (400, "40006", "Invalid ACCESS_KEY", Reason.INVALID_KEY, None),
        (400, "40012", "apikey/password is incorrect", Reason.WRONG_PASSPHRASE, None),
        (400, "40009", "sign signature error", Reason.BAD_SIGNATURE, None),
        (
            400,
            "40018",
            "invalid ip,current request ip 203.0.113.7",
            Reason.IP_NOT_ALLOWED,
            "203.0.113.7",
        ),
        (400, "40014", "Incorrect permissions, need spot", Reason.PERMISSION_MISSING, None),
        (400, "40008", "Request timestamp expired", Reason.CLOCK_SKEW, None),
        (400, "40005", "Invalid ACCESS_TIMESTAMP", Reason.CLOCK_SKEW, None),
        (400, "40085", "You are in Unified Account mode", Reason.PERMISSION_MISSING, None),
        (400, "40031", "", Reason.ACCOUNT_RESTRICTED, None),
        (400, "40099", "exchange environment is incorrect", Reason.WRONG_ENVIRONMENT, None),
        (429, "429", "Too many requests", Reason.RATE_LIMITED, None),
        (400, "40200", "Server upgrade", Reason.EXCHANGE_UNAVAILABLE, None),
        (400, "40001", "ACCESS_KEY cannot be empty", Reason.UNKNOWN, None),
        (400, "40017", "Parameter verification failed", Reason.UNKNOWN, None),
    ],
)
def test_a_refusal_is_read_by_its_code(
    status: int, code: str, text: str, reason: Reason, address: str | None
) -> None:
    body = json.dumps({"code": code, "msg": text, "requestTime": 1, "data": None})

    assert BITGET.classify(status, body) == Refusal(reason, code, address)


def test_a_code_may_come_as_a_number() -> None:
    assert BITGET.classify(429, '{"code":429}') == Refusal(Reason.RATE_LIMITED, "429")


@pytest.mark.parametrize("body", ["", "null", "{}", "[]", "<html>", '{"code":"00000","data":[]}'])
def test_a_body_without_a_refusal_is_left_to_the_general_rule(body: str) -> None:
    assert BITGET.classify(200, body) is None


@given(st.integers(), hostile_bodies)
def test_no_answer_makes_the_classification_fail(status: int, body: str) -> None:
    assert isinstance(BITGET.classify(status, body), Refusal | None)


@pytest.mark.parametrize("reason", Reason)
def test_a_rendered_refusal_is_read_as_what_it_says(reason: Reason) -> None:
    nearest = {
        Reason.KEY_EXPIRED: Reason.INVALID_KEY,
        Reason.AMBIGUOUS_CREDENTIALS: Reason.INVALID_KEY,
        Reason.REGION_RESTRICTED: Reason.UNKNOWN,
    }
    signed = BITGET.sign(ASKED, KEYS, NOW_MS)

    answer = BITGET.render_refusal(reason, signed, "198.51.100.9")

    told = BITGET.classify(answer.status, answer.body.decode())
    assert told is not None
    assert told.reason is nearest.get(reason, reason)
    assert told.seen_address == ("198.51.100.9" if reason is Reason.IP_NOT_ALLOWED else None)
    assert json.loads(answer.body)["requestTime"] == NOW_MS


def test_what_is_frozen_and_what_is_locked_is_both_locked() -> None:
    rows = [
        {"coin": "USDT", "available": "1.5", "frozen": "0.25", "locked": Decimal("0.25")},
        {"coin": "ETH", "available": "2", "frozen": "0"},
        {"coin": "BTC", "available": "0", "frozen": "0", "locked": "0"},
    ]

    read = BITGET.read_balances([{"code": "00000", "msg": "success", "data": rows}])

    assert read == (Balance("ETH", Decimal(2)), Balance("USDT", Decimal("1.5"), Decimal("0.50")))


@pytest.mark.parametrize("amount", ["NaN", "-1", "Infinity", 1.5, True, [], "1_0"])
@pytest.mark.parametrize("name", ["available", "frozen", "locked"])
def test_an_amount_that_is_none_is_not_the_exchange(name: str, amount: Any) -> None:
    row = {"coin": "BTC", "available": "0", "frozen": "0", "locked": "0", name: amount}

    with pytest.raises(NotTheExchange):
        BITGET.read_balances([{"code": "00000", "data": [row]}])


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"data": []}, {"code": "40037", "data": []}, {"code": "00000"}, {"code": 0}],
)
def test_an_answer_without_the_success_marker_is_not_the_exchange(answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        BITGET.read_balances([answer])


def info(**data: Any) -> list[Any]:
    return [{"code": "00000", "msg": "success", "data": data}]


@pytest.mark.parametrize(
    ("authorities", "read", "trade", "withdraw", "transfer"),
    [
        (["stor"], Known.YES, Known.NO, Known.NO, Known.NO),
        (["stor", "stow"], Known.YES, Known.YES, Known.NO, Known.NO),
        (["stow", "wtow"], Known.YES, Known.YES, Known.NO, Known.YES),
        (["stor", "wwow"], Known.YES, Known.NO, Known.YES, Known.NO),
        (["coor", "coow"], Known.NO, Known.NO, Known.NO, Known.NO),
        (["stor", "taxr"], Known.YES, Known.NO, Known.NO, Known.NO),
        (["stor", "ctow"], Known.YES, Known.UNKNOWN, Known.UNKNOWN, Known.UNKNOWN),
        (["trade", "readonly"], Known.UNKNOWN, Known.UNKNOWN, Known.UNKNOWN, Known.UNKNOWN),
        ([], Known.NO, Known.NO, Known.NO, Known.NO),
    ],
)
def test_rights_are_read_from_their_documented_codes(
    authorities: list[str], read: Known, trade: Known, withdraw: Known, transfer: Known
) -> None:
    told = BITGET.read_key_information(info(authorities=authorities), KEYS.api_key)

    assert (told.can_read, told.can_trade) == (read, trade)
    assert (told.can_withdraw, told.can_transfer) == (withdraw, transfer)


@pytest.mark.parametrize(
    ("ips", "restricted", "addresses"),
    [
        ({"ips": "192.0.2.1,192.0.2.2"}, Known.YES, ("192.0.2.1", "192.0.2.2")),
        ({"ips": ""}, Known.NO, ()),
        ({}, Known.UNKNOWN, None),
    ],
)
def test_the_address_list_is_read(
    ips: dict[str, str], restricted: Known, addresses: tuple[str, ...] | None
) -> None:
    told = BITGET.read_key_information(info(authorities=[], **ips), KEYS.api_key)

    assert (told.ip_restricted, told.ip_addresses) == (restricted, addresses)


@pytest.mark.parametrize(
    ("parent", "sub_account"),
    [(714, Known.NO), ("99", Known.YES), (0, Known.UNKNOWN), (None, Known.UNKNOWN)],
)
def test_a_sub_account_is_one_with_another_parent(parent: Any, sub_account: Known) -> None:
    answers = info(authorities=[], userId="714", parentId=parent)

    told = BITGET.read_key_information(answers, KEYS.api_key)

    assert (told.owner_uid, told.is_sub_account) == ("714", sub_account)


def test_a_refused_call_leaves_everything_unknown() -> None:
    assert BITGET.read_key_information([None], KEYS.api_key) == KeyInformation()


@pytest.mark.parametrize("data", [{}, {"authorities": "stor"}, {"authorities": [1]}])
def test_key_information_of_another_form_is_not_the_exchange(data: dict[str, Any]) -> None:
    with pytest.raises(NotTheExchange):
        BITGET.read_key_information(info(**data), KEYS.api_key)
