import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.dialects.gate import GateDialect
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

GATE = GateDialect()
ASKED = WireRequest("GET", "/api/v4/spot/open_orders", "account=spot&status=open")
CALLS = [
    ("GET", ["private", "spot"], "accounts", {}),
    ("GET", ["private", "account"], "detail", {}),
    ("GET", ["private", "spot"], "open_orders", {"status": "open", "account": "spot"}),
    ("GET", ["private", "spot"], "my_trades", {"odd": "a b&c=d/é", "currency_pair": "BTC_USDT"}),
    ("GET", ["private", "wallet"], "total_balance", {"currencies": "BTC,USDT"}),
    ("POST", ["private", "spot"], "orders", {"currency_pair": "BTC_USDT", "price": "1"}),
    ("DELETE", ["private", "spot"], "orders/{order_id}", {"order_id": "12", "account": "spot"}),
]


@pytest.mark.parametrize(("method", "api", "path", "params"), CALLS)
def test_what_ccxt_signs_is_accepted(
    method: str, api: list[str], path: str, params: dict[str, Any]
) -> None:
    sent = signed_by_ccxt("gate", method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    assert GATE.api_key_in(sent) == KEYS.api_key
    assert GATE.check(sent, KEYS, NOW_MS) is None


@pytest.mark.parametrize(("method", "api", "path", "params"), CALLS)
def test_it_signs_as_ccxt_does(
    method: str, api: list[str], path: str, params: dict[str, Any]
) -> None:
    sent = signed_by_ccxt("gate", method, path, api, params, keys=KEYS, now_ms=NOW_MS)

    signed = GATE.sign(replace(sent, headers={}), KEYS, NOW_MS)

    assert signed.headers == sent.headers
    assert signed.query == sent.query


@given(wire_requests)
def test_what_it_signs_it_accepts(asked: WireRequest) -> None:
    assert GATE.check(GATE.sign(asked, KEYS, NOW_MS), KEYS, NOW_MS) is None


@given(forgeries(GATE, SigningKeys("key-of-a-test", "secret-of-a-test")))
def test_one_changed_byte_is_refused(forgery: tuple[WireRequest, SigningKeys, int]) -> None:
    assert GATE.check(*forgery) is not None


def test_another_method_is_refused() -> None:
    signed = GATE.sign(ASKED, KEYS, NOW_MS)

    assert GATE.check(replace(signed, method="DELETE"), KEYS, NOW_MS) is Reason.BAD_SIGNATURE


def test_signing_again_replaces_everything_the_request_carried() -> None:
    other = SigningKeys("another-key", "another-secret")

    signed = GATE.sign(GATE.sign(ASKED, KEYS, NOW_MS), other, NOW_MS + 90_000)

    assert GATE.api_key_in(signed) == "another-key"
    assert GATE.check(signed, other, NOW_MS + 90_000) is None


def test_the_query_is_signed_in_the_order_it_travels() -> None:
    signed = GATE.sign(replace(ASKED, query="b=2&a=1%2C"), KEYS, NOW_MS)

    assert signed.query == "b=2&a=1%2C"
    assert GATE.check(replace(signed, query="b=2&a=1,"), KEYS, NOW_MS) is None
    assert GATE.check(replace(signed, query="a=1,&b=2"), KEYS, NOW_MS) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": str(NOW_MS // 1000 - 61), "sign": "x"}, Reason.CLOCK_SKEW),
        ({"timestamp": str(NOW_MS // 1000 + 61)}, Reason.CLOCK_SKEW),
        ({"timestamp": str(NOW_MS), "sign": "x"}, Reason.CLOCK_SKEW),
        ({"timestamp": "soon"}, Reason.CLOCK_SKEW),
        ({"timestamp": str(NOW_MS // 1000 - 60)}, Reason.BAD_SIGNATURE),
        ({"sign": "x"}, Reason.BAD_SIGNATURE),
        ({"key": "another"}, Reason.BAD_SIGNATURE),
    ],
)
def test_the_time_is_checked_first_and_in_seconds(change: dict[str, str], reason: Reason) -> None:
    signed = GATE.sign(ASKED, KEYS, NOW_MS)

    asked = replace(signed, headers={**signed.headers, **change})

    assert GATE.check(asked, KEYS, NOW_MS) is reason


@pytest.mark.parametrize("key", ["", "a b", "ключ", "a\udcff", "k" * 257])
def test_what_is_no_plain_text_names_no_key(key: str) -> None:
    headers = {"key": key}

    assert GATE.api_key_in(replace(ASKED, headers=headers)) is None


def test_an_unsigned_request_names_no_key_and_is_refused() -> None:
    assert GATE.api_key_in(ASKED) is None
    assert GATE.check(ASKED, KEYS, NOW_MS) is Reason.CLOCK_SKEW


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("GET /api/v4/spot/time", Right.PUBLIC),
        ("GET /api/v4/account/detail", Right.KEY),
        ("GET /api/v4/account/main_keys", Right.KEY),
        ("GET /api/v4/spot/accounts", Right.READ),
        ("GET /api/v4/spot/orders/12", Right.READ),
        ("POST /api/v4/spot/orders", Right.TRADE),
        ("PATCH /api/v4/spot/orders/12", Right.TRADE),
        ("DELETE /api/v4/spot/orders/12", Right.TRADE),
        ("POST /api/v4/wallet/transfers", Right.TRANSFER),
        ("POST /api/v4/withdrawals", Right.WITHDRAW),
        ("DELETE /api/v4/withdrawals/12", Right.WITHDRAW),
        ("POST /api/v4/sub_accounts/1/keys", Right.UNLISTED),
        ("GET /spot/time", Right.UNLISTED),
    ],
)
def test_each_path_needs_its_right(asked: str, right: Right) -> None:
    assert GATE.right_needed(WireRequest(*asked.split())) is right


@pytest.mark.parametrize(
    ("status", "label", "text", "reason", "address"),
    [
        (401, "INVALID_KEY", "Invalid key provided", Reason.INVALID_KEY, None),
        (401, "INVALID_SIGNATURE", "Signature mismatch", Reason.BAD_SIGNATURE, None),
        (400, "MISSING_REQUIRED_HEADER", "Timestamp", Reason.UNKNOWN, None),
        (
            403,
            "FORBIDDEN",
            "Request IP not in whitelist: 203.0.113.7",
            Reason.IP_NOT_ALLOWED,
            "203.0.113.7",
        ),
        (403, "IP_FORBIDDEN", "Request from a forbidden IP", Reason.IP_NOT_ALLOWED, None),
        (403, "FORBIDDEN", "No permission, tip: spot", Reason.PERMISSION_MISSING, None),
        (403, "FORBIDDEN", "", Reason.PERMISSION_MISSING, None),
        (403, "FORBIDDEN", "Not available in your region", Reason.REGION_RESTRICTED, None),
        (403, "READ_ONLY", "API key is read-only", Reason.PERMISSION_MISSING, None),
        (403, "REQUEST_EXPIRED", "gap between", Reason.CLOCK_SKEW, None),
        (403, "SUB_ACCOUNT_LOCKED", "", Reason.ACCOUNT_RESTRICTED, None),
        (429, "TOO_MANY_REQUESTS", "", Reason.RATE_LIMITED, None),
        (503, "TOO_BUSY", "", Reason.EXCHANGE_UNAVAILABLE, None),
        (500, "INTERNAL", "", Reason.EXCHANGE_UNAVAILABLE, None),
        (400, "ORDER_NOT_FOUND", "Order not found", Reason.UNKNOWN, None),
    ],
)
def test_a_refusal_is_read_by_its_label_and_text(
    status: int, label: str, text: str, reason: Reason, address: str | None
) -> None:
    body = json.dumps({"label": label, "message": text})

    assert GATE.classify(status, body) == Refusal(reason, label, address)


@pytest.mark.parametrize(
    "body", ["", "null", "{}", "[]", "<html>", '{"label":"A B"}', '{"label":[]}']
)
def test_a_body_without_a_label_is_left_to_the_general_rule(body: str) -> None:
    assert GATE.classify(200, body) is None


@given(st.integers(), hostile_bodies)
def test_no_answer_makes_the_classification_fail(status: int, body: str) -> None:
    assert isinstance(GATE.classify(status, body), Refusal | None)


@pytest.mark.parametrize("reason", Reason)
def test_a_rendered_refusal_is_read_as_what_it_says(reason: Reason) -> None:
    nearest = {
        Reason.KEY_EXPIRED: Reason.INVALID_KEY,
        Reason.WRONG_ENVIRONMENT: Reason.INVALID_KEY,
        Reason.WRONG_PASSPHRASE: Reason.BAD_SIGNATURE,
    }

    answer = GATE.render_refusal(reason, ASKED, "198.51.100.9")

    told = GATE.classify(answer.status, answer.body.decode())
    assert told is not None
    assert told.reason is nearest.get(reason, reason)
    assert told.seen_address == ("198.51.100.9" if reason is Reason.IP_NOT_ALLOWED else None)


def test_balances_are_the_rows_of_a_bare_list() -> None:
    rows = [
        {"currency": "USDT", "available": "1.50", "locked": Decimal("0.5")},
        {"currency": "BTC", "available": "0", "locked": "0"},
    ]

    assert GATE.read_balances([rows]) == (Balance("USDT", Decimal("1.50"), Decimal("0.5")),)
    assert GATE.read_balances([[]]) == ()


@pytest.mark.parametrize("amount", ["NaN", "-1", "Infinity", 1.5, True, None, "", [], "1_0"])
def test_an_amount_that_is_none_is_not_the_exchange(amount: Any) -> None:
    with pytest.raises(NotTheExchange):
        GATE.read_balances([[{"currency": "BTC", "available": "1", "locked": amount}]])


@pytest.mark.parametrize("answer", [None, {}, "<html>", [1], [{}], {"label": "INVALID_KEY"}])
def test_an_answer_of_another_form_is_not_the_exchange(answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        GATE.read_balances([answer])


DETAIL = {"user_id": 1667, "ip_whitelist": ["192.0.2.1"], "currency_pairs": [], "key": {"mode": 1}}


def key_row(**permissions: bool) -> dict[str, Any]:
    perms = [{"name": name, "read_only": read_only} for name, read_only in permissions.items()]
    return {"state": 1, "key": "key-of********", "perms": perms}


@pytest.mark.parametrize(
    ("permissions", "read", "trade", "transfer", "withdraw"),
    [
        ({"spot": True}, Known.YES, Known.NO, Known.NO, Known.NO),
        ({"spot": False}, Known.YES, Known.YES, Known.NO, Known.NO),
        ({"spot": False, "wallet": True}, Known.YES, Known.YES, Known.NO, Known.NO),
        ({"spot": True, "wallet": False}, Known.YES, Known.NO, Known.YES, Known.UNKNOWN),
        ({"futures": False}, Known.NO, Known.NO, Known.NO, Known.NO),
        ({"spot": True, "news": False}, Known.YES, Known.UNKNOWN, Known.UNKNOWN, Known.UNKNOWN),
        ({}, Known.NO, Known.NO, Known.NO, Known.NO),
    ],
)
def test_rights_are_read_from_the_row_of_the_key(
    permissions: dict[str, bool], read: Known, trade: Known, transfer: Known, withdraw: Known
) -> None:
    told = GATE.read_key_information([DETAIL, [key_row(**permissions)]], KEYS.api_key)

    assert (told.can_read, told.can_trade) == (read, trade)
    assert (told.can_transfer, told.can_withdraw) == (transfer, withdraw)
    assert told.is_sub_account is Known.NO


def test_the_row_is_the_one_whose_prefix_starts_the_key() -> None:
    strangers = [
        {**key_row(spot=False), "key": "another***"},
        {**key_row(wallet=False), "key": "****"},
    ]

    told = GATE.read_key_information([DETAIL, [*strangers, key_row(spot=True)]], KEYS.api_key)

    assert (told.can_read, told.can_trade, told.can_transfer) == (Known.YES, Known.NO, Known.NO)


@pytest.mark.parametrize(
    "main_keys",
    [
        None,
        [],
        [{**key_row(spot=False), "key": "another***"}],
        [key_row(spot=False), key_row(wallet=False)],
    ],
)
def test_rights_of_a_key_that_is_not_listed_once_stay_unknown(main_keys: Any) -> None:
    told = GATE.read_key_information([DETAIL, main_keys], KEYS.api_key)

    assert told == KeyInformation(
        ip_restricted=Known.YES, ip_addresses=("192.0.2.1",), owner_uid="1667"
    )


def test_a_single_key_may_come_as_a_bare_object() -> None:
    told = GATE.read_key_information([DETAIL, key_row(spot=False)], KEYS.api_key)

    assert told.can_trade is Known.YES


def test_the_rights_of_a_locked_key_stay_unknown() -> None:
    locked = {**key_row(spot=False), "state": 2}

    assert GATE.read_key_information([DETAIL, [locked]], KEYS.api_key).can_trade is Known.UNKNOWN


def test_an_empty_list_binds_to_no_address_and_no_list_says_nothing() -> None:
    unbound = GATE.read_key_information([{**DETAIL, "ip_whitelist": []}, None], KEYS.api_key)
    silent = GATE.read_key_information([{"user_id": 1667}, None], KEYS.api_key)

    assert (unbound.ip_restricted, unbound.ip_addresses) == (Known.NO, ())
    assert (silent.ip_restricted, silent.ip_addresses) == (Known.UNKNOWN, None)


def test_refused_calls_leave_everything_unknown() -> None:
    assert GATE.read_key_information([None, None], KEYS.api_key) == KeyInformation()


@pytest.mark.parametrize(
    "answers",
    [
        [{}, None],
        [[], None],
        [{"user_id": None}, None],
        [{"user_id": 1, "ip_whitelist": "1"}, None],
        [DETAIL, "<html>"],
        [DETAIL, {"label": "INTERNAL"}],
        [DETAIL, [{"key": "key-of***", "state": 1}]],
    ],
)
def test_key_information_of_another_form_is_not_the_exchange(answers: list[Any]) -> None:
    with pytest.raises(NotTheExchange):
        GATE.read_key_information(answers, KEYS.api_key)
