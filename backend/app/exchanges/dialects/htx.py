"""HTX (former Huobi): key, time and signature travel in the query; a POST body is not signed.

Authentication failures share one code and differ only in their words.

Source: https://www.htx.com/en-us/opend/newApiPages/ (authentication, error codes)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar

from backend.app.exchanges.dialects.base import Dialect, NotTheExchange
from backend.app.exchanges.dialects.open_orders import OrderForm, open_orders, pages
from backend.app.exchanges.dialects.paths import PathRights
from backend.app.exchanges.dialects.reading import (
    amount_in,
    answer_at,
    balances,
    known,
    object_in,
    objects_in,
    text_in,
    whole_in,
    words_in,
)
from backend.app.exchanges.dialects.refusing import (
    json_answer,
    parsed_object,
    raw_code,
    refusal,
    text_of,
)
from backend.app.exchanges.dialects.signing import (
    count_of,
    decoded_pairs,
    encoded,
    hmac_base64,
    in_window,
    iso_seconds,
    moment_ms,
    named_key,
    parameter,
    same,
    with_headers,
    without,
)
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import Right, SigningKeys, WireAnswer, WireRequest

_WINDOW_MS = 300_000

# The signed host is the documented one, wherever the request is really sent to.
_SPOT_HOST = "api.huobi.pro"
_CONTRACT_HOST = "api.hbdm.vn"
_SPOT_PATHS = ("/v1/", "/v2/", "/market/", "/v5/account/")
_OWN_PARAMETERS = ("AccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp", "Signature")

_REASONS = {
    "500": Reason.EXCHANGE_UNAVAILABLE,
    "base-request-exceed-frequency-limit": Reason.RATE_LIMITED,
    "gateway-internal-error": Reason.EXCHANGE_UNAVAILABLE,
    "rate-too-many-requests": Reason.RATE_LIMITED,
    "system-maintenance": Reason.EXCHANGE_UNAVAILABLE,
    "timeout": Reason.EXCHANGE_UNAVAILABLE,
}
# Codes of every authentication failure, in v1 words, v1 numbers and v2 numbers. Without words we
# know they give no verdict: a clock that is off answers with the same code.
_CODES_OF_AUTHENTICATION = ("api-signature-not-valid", "api-signature-check-failed", "403", "1003")
_WORDS_OF_AUTHENTICATION = {
    "incorrect access key": Reason.INVALID_KEY,
    "verification failure": Reason.BAD_SIGNATURE,
    "invalid signature": Reason.BAD_SIGNATURE,
    "incorrect ip address": Reason.IP_NOT_ALLOWED,
    "api key has expired": Reason.KEY_EXPIRED,
    "invalid submission time": Reason.CLOCK_SKEW,
    "api key has no permission": Reason.PERMISSION_MISSING,
}
_WORDS_OF_ANY_CODE = {
    "request limit": Reason.RATE_LIMITED,
    "maintain": Reason.EXCHANGE_UNAVAILABLE,
}

_SIGNATURE_CODE = "api-signature-not-valid"
_UNKNOWN_KEY = (_SIGNATURE_CODE, "Signature not valid: Incorrect Access key [Access key错误]")
_SPOKEN: Mapping[Reason, tuple[str, str]] = {
    Reason.INVALID_KEY: _UNKNOWN_KEY,
    Reason.BAD_SIGNATURE: (
        _SIGNATURE_CODE,
        "Signature not valid: Verification failure [校验失败]",
    ),
    # There is no passphrase, no other environment and no ambiguous answer.
    Reason.WRONG_PASSPHRASE: _UNKNOWN_KEY,
    Reason.WRONG_ENVIRONMENT: _UNKNOWN_KEY,
    Reason.AMBIGUOUS_CREDENTIALS: _UNKNOWN_KEY,
    Reason.KEY_EXPIRED: (
        _SIGNATURE_CODE,
        "Signature not valid: API key has expired [API Key已过期]",
    ),
    Reason.IP_NOT_ALLOWED: (
        _SIGNATURE_CODE,
        "Signature not valid: Incorrect IP address [IP地址错误]:{address}",
    ),
    Reason.PERMISSION_MISSING: (
        _SIGNATURE_CODE,
        "Signature not valid: API key has no permission [API Key没有权限]",
    ),
    Reason.CLOCK_SKEW: (
        _SIGNATURE_CODE,
        (
            "Signature not valid: Invalid submission time or incorrect time format "
            "[无效的提交时间，或时间格式错误]"
        ),
    ),
    Reason.RATE_LIMITED: (
        "base-request-exceed-frequency-limit",
        "Frequency of requests has exceeded the limit, please try again later",
    ),
    Reason.EXCHANGE_UNAVAILABLE: ("system-maintenance", "System is in maintenance!"),
    # A locked account and a refused place have no documented code of their own.
    Reason.ACCOUNT_RESTRICTED: (
        _SIGNATURE_CODE,
        "Signature not valid: API key has no permission [API Key没有权限]",
    ),
    Reason.REGION_RESTRICTED: ("gateway-internal-error", "Failed to load data. Try again later."),
    Reason.UNKNOWN: ("invalid-parameter", "invalid parameter"),
}

_RIGHTS = PathRights(
    {
        Right.PUBLIC: (
            "GET /v1/common/symbols",
            "GET /v1/common/currencys",
            "GET /v1/common/timestamp",
            "GET /v1/settings/common/symbols",
            "GET /v1/settings/common/currencys",
            "GET /v1/settings/common/chains",
            "GET /v1/settings/common/market-symbols",
            "GET /v2/settings/common/symbols",
            "GET /v2/settings/common/currencies",
            "GET /v2/reference/currencies",
            "GET /v2/market-status",
            "GET /linear-swap-api/v1/swap_contract_info",
            "GET /swap-api/v1/swap_contract_info",
            "GET /api/v1/contract_contract_info",
            "GET /market/history/kline",
            "GET /market/history/candles",
            "GET /market/detail/merged",
            "GET /market/detail",
            "GET /market/tickers",
            "GET /market/depth",
            "GET /market/trade",
            "GET /market/history/trade",
        ),
        Right.KEY: ("GET /v2/user/uid", "GET /v2/user/api-key"),
        Right.READ: (
            "GET /v1/account/accounts",
            "GET /v1/account/accounts/{account_id}/balance",
            "GET /v1/account/history",
            "GET /v2/account/valuation",
            "GET /v2/account/asset-valuation",
            "GET /v2/account/ledger",
            "GET /v5/account/universal_transfer_records",
            "GET /v2/account/deposit/address",
            "GET /v2/account/withdraw/quota",
            "GET /v2/account/withdraw/address",
            "GET /v1/query/deposit-withdraw",
            "GET /v2/reference/transact-fee-rate",
            "GET /v1/order/openOrders",
            "GET /v1/order/orders",
            "GET /v1/order/orders/getClientOrder",
            "GET /v1/order/orders/{order_id}",
            "GET /v1/order/orders/{order_id}/matchresults",
            "GET /v1/order/history",
            "GET /v1/order/matchresults",
        ),
        Right.TRADE: (
            "POST /v1/order/orders/place",
            "POST /v1/order/batch-orders",
            "POST /v1/order/orders/{order_id}/submitcancel",
            "POST /v1/order/orders/submitCancelClientOrder",
            "POST /v1/order/orders/batchCancelOpenOrders",
            "POST /v1/order/orders/batchcancel",
            "POST /v2/algo-orders/cancel-all-after",
        ),
        Right.TRANSFER: (
            "POST /v1/account/transfer",
            "POST /v2/account/transfer",
            "POST /v1/futures/transfer",
            "POST /v1/subuser/transfer",
            "POST /v2/point/transfer",
            "POST /v1/dw/transfer-in/margin",
            "POST /v1/dw/transfer-out/margin",
            "POST /v1/cross-margin/transfer-in",
            "POST /v1/cross-margin/transfer-out",
            "POST /v5/account/universal_transfer",
        ),
        Right.WITHDRAW: (
            "POST /v1/dw/withdraw/api/create",
            "POST /v1/dw/withdraw-virtual/{withdraw_id}/cancel",
        ),
    }
)

_ORDER = OrderForm(
    order_id="id",
    client_order_id="client-order-id",
    instrument="symbol",
    side="side",
    kind="kind",
    price="price",
    amount="amount",
    filled="filled-amount",
    created_at="created-at",
)


class HtxDialect(Dialect):
    """How HTX speaks."""

    exchange: ClassVar[str] = "htx"

    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key a request names, or None where it names none."""
        return named_key(parameter(request.query, "AccessKeyId"))

    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Return the request with its query sorted, encoded and signed."""
        own = {
            "AccessKeyId": keys.api_key,
            "SignatureMethod": "HmacSHA256",
            "SignatureVersion": "2",
            "Timestamp": iso_seconds(now_ms),
        }
        query = _sorted(encoded(own.items()), without(request.query, *_OWN_PARAMETERS))
        signature = encoded({"Signature": _signature(request, keys, query)}.items())
        signed = replace(request, query=f"{query}&{signature}")
        return with_headers(signed, content_type="application/json") if signed.body else signed

    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Judge the time, then the signature. The body of a POST is, as at HTX, not covered."""
        sent_ms = moment_ms(parameter(request.query, "Timestamp"))
        if not in_window(sent_ms, now_ms, behind_ms=_WINDOW_MS, ahead_ms=_WINDOW_MS):
            return Reason.CLOCK_SKEW
        if count_of(request.query, "Signature") != 1:
            return Reason.BAD_SIGNATURE
        unsigned = request.body and request.method.upper() != "POST"
        right_key = same(self.api_key_in(request), keys.api_key)
        query = _sorted(without(request.query, "Signature"))
        given = parameter(request.query, "Signature")
        right_signature = same(given, _signature(request, keys, query))
        return None if right_key and right_signature and not unsigned else Reason.BAD_SIGNATURE

    def right_needed(self, request: WireRequest) -> Right:
        """Return what a key must be allowed to do for this method and path."""
        return _RIGHTS.of(request)

    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read a refusal by code, and by words where one code means many things."""
        answer = parsed_object(body) or {}
        code, words = _told(answer)
        if code is None:
            return None
        meanings = _WORDS_OF_ANY_CODE
        if code in _CODES_OF_AUTHENTICATION:
            meanings = _WORDS_OF_AUTHENTICATION | _WORDS_OF_ANY_CODE
        for phrase, reason in meanings.items():
            if phrase in words.lower():
                return refusal(reason, code, words)
        return Refusal(_REASONS.get(code, Reason.UNKNOWN), code)

    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Return HTX's answer: status 200, a code and its words."""
        code, words = _SPOKEN[reason]
        told = words.format(address=caller_address)
        return json_answer(
            HTTPStatus.OK, {"status": "error", "err-code": code, "err-msg": told, "data": None}
        )

    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read `GET /v1/account/accounts` and the balance of the spot account."""
        objects_in(_ok(answer_at(answers, 0)), "data")
        rows = objects_in(object_in(_ok(answer_at(answers, 1)), "data"), "list")
        return balances(_balance(row) for row in rows if row.get("type") in ("trade", "frozen"))

    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read `GET /v1/account/accounts` and the pages of `GET /v1/order/openOrders`."""
        objects_in(_ok(answer_at(answers, 0)), "data")
        return open_orders(
            _ORDER.read(_with_side(row))
            for answer in pages(answers[1:])
            for row in objects_in(_ok(answer), "data")
        )

    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read `GET /v2/user/uid` and `GET /v2/user/api-key`.

        HTX tells remaining days and no date; the days are handed on. A trade right moves funds
        between own accounts.
        """
        owner, keys = answer_at(answers, 0), answer_at(answers, 1)
        owner_uid = None if owner is None else text_in(_done(owner), "data")
        if keys is None:
            return KeyInformation(owner_uid=owner_uid)
        told = [row for row in objects_in(_done(keys), "data") if row.get("accessKey") == api_key]
        if not told:
            raise NotTheExchange
        rights, addresses = words_in(told[0], "permission"), words_in(told[0], "ipAddresses")
        return KeyInformation(
            can_read=known("readOnly" in rights),
            can_trade=known("trade" in rights),
            can_withdraw=known("withdraw" in rights),
            can_transfer=known("trade" in rights),
            ip_restricted=known(bool(addresses)),
            ip_addresses=addresses,
            remaining_days=_remaining_days(told[0]),
            owner_uid=owner_uid,
        )


def _sorted(*queries: str) -> str:
    # HTX decodes what it gets and signs its own encoding of it.
    pairs = [pair for query in queries for pair in decoded_pairs(query, "surrogateescape")]
    return "&".join(sorted(encoded([pair]) for pair in pairs))


def _signature(request: WireRequest, keys: SigningKeys, query: str) -> str:
    host = _SPOT_HOST if request.path.startswith(_SPOT_PATHS) else _CONTRACT_HOST
    text = f"{request.method.upper()}\n{host}\n{request.path}\n{query}"
    return hmac_base64(keys.api_secret, text)


def _told(answer: dict[str, Any]) -> tuple[str | None, str]:
    # v1 spot writes err-code, v1 contracts err_code, v2 code with 200 for success.
    for code_name, words_name in (("err-code", "err-msg"), ("err_code", "err_msg")):
        if answer.get("status") == "error" and raw_code(answer.get(code_name)):
            return raw_code(answer[code_name]), text_of(answer.get(words_name))
    code = raw_code(answer.get("code"))
    return None if code == "200" else code, text_of(answer.get("message"))


def _ok(answer: Any) -> dict[str, Any]:
    if object_in(answer).get("status") != "ok":
        raise NotTheExchange
    return object_in(answer)


def _done(answer: Any) -> dict[str, Any]:
    if whole_in(object_in(answer), "code") != HTTPStatus.OK:
        raise NotTheExchange
    return object_in(answer)


def _balance(row: dict[str, Any]) -> Balance:
    asset, amount = text_in(row, "currency").upper(), amount_in(row, "balance")
    zero = amount * 0
    return Balance(asset, amount, zero) if row["type"] == "trade" else Balance(asset, zero, amount)


def _remaining_days(told: dict[str, Any]) -> int | None:
    if told.get("validDays") is None:
        return None
    days = whole_in(told, "validDays")
    return days if days >= 0 else None


def _with_side(row: dict[str, Any]) -> dict[str, Any]:
    # HTX puts both into one word: buy-limit, sell-limit-maker.
    side, _, kind = text_in(row, "type").partition("-")
    return {**row, "side": side, "kind": kind}
