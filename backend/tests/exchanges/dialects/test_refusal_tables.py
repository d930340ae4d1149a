"""What Binance, OKX, Bybit and HTX answer when they refuse, read and written."""

import json
from typing import Any

import pytest

from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.registry import classify_refusal, dialect
from backend.app.exchanges.wire import WireRequest


def htx_body(words: str, code: str = "api-signature-not-valid") -> dict[str, Any]:
    return {"status": "error", "err-code": code, "err-msg": words, "data": None}


BINANCE = [
    (
        401,
        {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
        "ambiguous_credentials",
    ),
    (
        400,
        {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
        "ambiguous_credentials",
    ),
    (401, {"code": -2014, "msg": "API-key format invalid."}, "invalid_key"),
    (400, {"code": -2008, "msg": "Invalid Api-Key ID."}, "invalid_key"),
    (400, {"code": -1022, "msg": "Signature for this request is not valid."}, "bad_signature"),
    (
        400,
        {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."},
        "clock_skew",
    ),
    (
        401,
        {"code": -1002, "msg": "You are not authorized to execute this request."},
        "permission_missing",
    ),
    (429, {"code": -1003, "msg": "Too many requests."}, "rate_limited"),
    (418, {"code": -1003, "msg": "Way too many requests; IP banned until 1."}, "rate_limited"),
    (
        451,
        {
            "code": 0,
            "msg": "Service unavailable from a restricted location according to 'b. Eligibility'",
        },
        "region_restricted",
    ),
    (200, {"code": 1, "msg": "System is under maintenance."}, "exchange_unavailable"),
    (
        503,
        {"code": -1001, "msg": "Internal error; unable to process your request."},
        "exchange_unavailable",
    ),
    (401, {"code": -2017, "msg": "API Keys are locked on this account."}, "account_restricted"),
    (400, {"code": -2010, "msg": "This action is disabled on this account."}, "account_restricted"),
    (
        400,
        {"code": -2010, "msg": "Account has insufficient balance for requested action."},
        "unknown",
    ),
]
OKX = [
    (401, {"msg": "API key doesn't exist", "code": "50119"}, "invalid_key"),
    (200, {"msg": "API key doesn't exist", "code": "50119"}, "invalid_key"),
    (401, {"msg": "Invalid OK-ACCESS-KEY", "code": "50111"}, "invalid_key"),
    (401, {"msg": "Invalid Sign", "code": "50113"}, "bad_signature"),
    (
        401,
        {"msg": "Request header OK-ACCESS-PASSPHRASE incorrect.", "code": "50105"},
        "wrong_passphrase",
    ),
    (401, {"msg": "Your IP 203.0.113.7 is not included", "code": "50110"}, "ip_not_allowed"),
    (
        200,
        {"msg": "You can't access our services", "code": "50121", "data": []},
        "region_restricted",
    ),
    (401, {"msg": "no permission", "code": "50120"}, "permission_missing"),
    (403, {"msg": "must be bound to IP", "code": "50035", "data": []}, "permission_missing"),
    (401, {"msg": "Timestamp request expired", "code": "50102"}, "clock_skew"),
    (401, {"msg": "Invalid OK-ACCESS-TIMESTAMP", "code": "50112"}, "clock_skew"),
    (
        401,
        {"msg": "APIKey does not match current environment.", "code": "50101"},
        "wrong_environment",
    ),
    (200, {"msg": "User blocked", "code": "50007", "data": []}, "account_restricted"),
    (200, {"msg": "restricted", "code": "50027", "data": []}, "account_restricted"),
    (429, {"msg": "Too Many Requests", "code": "50011"}, "rate_limited"),
    (200, {"msg": "Too Many Requests", "code": "50011", "data": []}, "rate_limited"),
    (429, {"msg": "Systems are busy", "code": "50013"}, "exchange_unavailable"),
    (503, {"msg": "Service temporarily unavailable", "code": "50001"}, "exchange_unavailable"),
    (
        200,
        {"msg": "", "code": "1", "data": [{"sCode": "0"}, {"sCode": "50120", "sMsg": "no"}]},
        "permission_missing",
    ),
    (200, {"msg": "All operations failed", "code": "1", "data": [{"sCode": "51008"}]}, "unknown"),
]
BYBIT = [
    (200, {"retCode": 10003, "retMsg": "API key is invalid."}, "invalid_key"),
    (
        200,
        {"retCode": 10004, "retMsg": "Error sign, origin_string[1ours-00015000]"},
        "bad_signature",
    ),
    (200, {"retCode": 10010, "retMsg": "Unmatched IP"}, "ip_not_allowed"),
    (200, {"retCode": 10009, "retMsg": "IP has been banned"}, "rate_limited"),
    (200, {"retCode": 10005, "retMsg": "权限不足"}, "permission_missing"),
    (200, {"retCode": 10002, "retMsg": "invalid request"}, "clock_skew"),
    (200, {"retCode": 33004, "retMsg": "Your api key has expired."}, "key_expired"),
    (200, {"retCode": 10006, "retMsg": "Too many visits."}, "rate_limited"),
    (403, {"retCode": 10018, "retMsg": "Exceeded the IP Rate Limit."}, "rate_limited"),
    (200, {"retCode": 10027, "retMsg": "Transactions are banned."}, "account_restricted"),
    (200, {"retCode": 10028, "retMsg": "unified account users only"}, "permission_missing"),
    (200, {"retCode": 100028, "retMsg": "not for unified accounts"}, "permission_missing"),
    (200, {"retCode": 10016, "retMsg": "Request timeout"}, "exchange_unavailable"),
    (200, {"retCode": 170131, "retMsg": "Insufficient balance."}, "unknown"),
]
HTX = [
    (200, htx_body("Signature not valid: Incorrect Access key [Access key错误]"), "invalid_key"),
    (200, htx_body("Signature not valid: Verification failure [校验失败]"), "bad_signature"),
    (
        200,
        htx_body("Signature not valid: Incorrect IP address [IP地址错误]:203.0.113.7"),
        "ip_not_allowed",
    ),
    (200, htx_body("Signature not valid: API key has expired [API Key已过期]"), "key_expired"),
    (
        200,
        htx_body("Signature not valid: Invalid submission time or incorrect time format [x]"),
        "clock_skew",
    ),
    (
        200,
        htx_body("Signature not valid: API key has no permission [API Key没有权限]"),
        "permission_missing",
    ),
    (200, htx_body("Signature not valid: something new"), "unknown"),
    (200, htx_body("exceeded rate limit", "rate-too-many-requests"), "rate_limited"),
    (200, htx_body("Frequency", "base-request-exceed-frequency-limit"), "rate_limited"),
    (200, htx_body("request limit", "invalid-parameter"), "rate_limited"),
    (200, htx_body("System is in maintenance!", "system-maintenance"), "exchange_unavailable"),
    (200, htx_body("we maintain the system", "whatever"), "exchange_unavailable"),
    (200, htx_body("Failed to load data.", "gateway-internal-error"), "exchange_unavailable"),
    (200, htx_body("Request Timeout", "timeout"), "exchange_unavailable"),
    (
        200,
        {"status": "error", "err_code": 403, "err_msg": "Incorrect Access key [x]"},
        "invalid_key",
    ),
    (200, {"code": 1003, "message": "invalid signature"}, "bad_signature"),
    (200, {"code": 2002, "message": "invalid field value in `uid`"}, "unknown"),
]
ROWS = [
    (exchange, status, body, reason)
    for exchange, rows in {"binance": BINANCE, "okx": OKX, "bybit": BYBIT, "htx": HTX}.items()
    for status, body, reason in rows
]


@pytest.mark.parametrize(("exchange", "status", "body", "reason"), ROWS)
def test_a_refusal_is_read_by_the_exchange_s_own_words(
    exchange: str, status: int, body: dict[str, Any], reason: str
) -> None:
    refusal = classify_refusal(exchange, status, json.dumps(body))

    assert refusal.reason == reason
    assert refusal.code is not None


@pytest.mark.parametrize(
    ("exchange", "body"),
    [
        (
            "okx",
            {
                "msg": "Your IP 203.0.113.7 is not included in your API key's IP whitelist.",
                "code": "50110",
            },
        ),
        ("htx", htx_body("Signature not valid: Incorrect IP address [IP地址错误]:203.0.113.7")),
    ],
)
def test_the_address_the_exchange_saw_is_read(exchange: str, body: dict[str, Any]) -> None:
    assert classify_refusal(exchange, 200, json.dumps(body)).seen_address == "203.0.113.7"


def test_only_an_address_refusal_names_an_address() -> None:
    body = {"code": "50121", "msg": "You can't access our services through 203.0.113.7"}

    assert classify_refusal("okx", 200, json.dumps(body)).seen_address is None


def test_a_code_that_repeats_the_signed_text_is_not_kept() -> None:
    body = {"retCode": "10004 origin_string[1795244895298ours-00015000]", "retMsg": "Error sign"}

    assert classify_refusal("bybit", 200, json.dumps(body)).code is None


def test_a_bare_401_of_bybit_is_its_word_for_a_key_it_cannot_use() -> None:
    assert classify_refusal("bybit", 401, "") == Refusal(Reason.AMBIGUOUS_CREDENTIALS)
    assert classify_refusal("okx", 401, "").reason is Reason.UNKNOWN


AMBIGUOUS = Reason.AMBIGUOUS_CREDENTIALS
# Reasons an exchange has no words of its own for, and what its nearest words are read as.
NEAREST = {
    "binance": {
        Reason.INVALID_KEY: AMBIGUOUS,
        Reason.WRONG_PASSPHRASE: AMBIGUOUS,
        Reason.KEY_EXPIRED: AMBIGUOUS,
        Reason.IP_NOT_ALLOWED: AMBIGUOUS,
        Reason.PERMISSION_MISSING: AMBIGUOUS,
        Reason.WRONG_ENVIRONMENT: Reason.INVALID_KEY,
    },
    "okx": {Reason.KEY_EXPIRED: Reason.INVALID_KEY, AMBIGUOUS: Reason.INVALID_KEY},
    "bybit": {
        Reason.WRONG_PASSPHRASE: AMBIGUOUS,
        Reason.WRONG_ENVIRONMENT: Reason.INVALID_KEY,
    },
    "htx": {
        Reason.WRONG_PASSPHRASE: Reason.INVALID_KEY,
        Reason.WRONG_ENVIRONMENT: Reason.INVALID_KEY,
        AMBIGUOUS: Reason.INVALID_KEY,
        Reason.ACCOUNT_RESTRICTED: Reason.PERMISSION_MISSING,
        Reason.REGION_RESTRICTED: Reason.EXCHANGE_UNAVAILABLE,
    },
}


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("exchange", NEAREST)
def test_a_written_refusal_is_read_back_as_itself_or_its_nearest(
    exchange: str, reason: Reason
) -> None:
    request = WireRequest("GET", "/v5/user/query-api", headers={"x-bapi-timestamp": "1"})

    answer = dialect(exchange).render_refusal(reason, request, "203.0.113.7")

    read = classify_refusal(exchange, answer.status, answer.body.decode())
    assert read.reason is NEAREST[exchange].get(reason, reason)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("exchange", ["okx", "htx"])
def test_an_address_refusal_tells_the_caller_s_address(exchange: str) -> None:
    answer = dialect(exchange).render_refusal(
        Reason.IP_NOT_ALLOWED, WireRequest("GET", "/"), "2001:db8::7"
    )

    assert classify_refusal(exchange, answer.status, answer.body.decode()).seen_address == (
        "2001:db8::7"
    )


def test_every_refusal_of_bybit_has_status_200() -> None:
    answers = [
        dialect("bybit").render_refusal(reason, WireRequest("GET", "/"), "203.0.113.7")
        for reason in Reason
    ]

    assert {answer.status for answer in answers} == {200}
