"""Binance: the query or form body is signed as sent; one answer for key, address and right.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api and .../errors
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import Dialect, NotTheExchange
from backend.app.exchanges.dialects.open_orders import OrderForm, open_orders
from backend.app.exchanges.dialects.paths import PathRights
from backend.app.exchanges.dialects.reading import (
    amount_in,
    answer_at,
    balances,
    known_in,
    moment_in,
    object_in,
    objects_in,
    text_in,
)
from backend.app.exchanges.dialects.refusing import (
    json_answer,
    parsed_object,
    raw_code,
    refusal,
    text_of,
)
from backend.app.exchanges.dialects.signing import (
    body_text,
    count_of,
    hmac_hex,
    in_window,
    joined,
    named_key,
    parameter,
    same,
    whole_number,
    with_headers,
    without,
)
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import Right, SigningKeys, WireAnswer, WireRequest

_RECEIVE_WINDOW_MS = 5_000
_RECEIVE_WINDOW_MAX_MS = 60_000
_AHEAD_MAX_MS = 1_000

_REASONS = {
    "1": Reason.EXCHANGE_UNAVAILABLE,
    "-1001": Reason.EXCHANGE_UNAVAILABLE,
    "-1002": Reason.PERMISSION_MISSING,
    "-1003": Reason.RATE_LIMITED,
    "-1006": Reason.EXCHANGE_UNAVAILABLE,
    "-1007": Reason.EXCHANGE_UNAVAILABLE,
    "-1008": Reason.EXCHANGE_UNAVAILABLE,
    "-1015": Reason.RATE_LIMITED,
    "-1016": Reason.EXCHANGE_UNAVAILABLE,
    "-1021": Reason.CLOCK_SKEW,
    "-1022": Reason.BAD_SIGNATURE,
    "-1099": Reason.AMBIGUOUS_CREDENTIALS,
    "-2008": Reason.INVALID_KEY,
    "-2014": Reason.INVALID_KEY,
    "-2015": Reason.AMBIGUOUS_CREDENTIALS,
    "-2017": Reason.ACCOUNT_RESTRICTED,
}
# The words of code 0: "Service unavailable from a restricted location according to
# 'b. Eligibility' ...".
_REGION_WORDS = ("restricted location", "eligibility")
# One code, -2010 or -2011, carries both order mistakes and these.
_ACCOUNT_WORDS = (
    "this action is disabled on this account",
    "this account may not place or cancel orders",
)

_AMBIGUOUS = (401, -2015, "Invalid API-key, IP, or permissions for action.")
_SPOKEN: Mapping[Reason, tuple[int, int, str]] = {
    Reason.INVALID_KEY: _AMBIGUOUS,
    Reason.BAD_SIGNATURE: (400, -1022, "Signature for this request is not valid."),
    Reason.WRONG_PASSPHRASE: _AMBIGUOUS,
    Reason.KEY_EXPIRED: _AMBIGUOUS,
    Reason.IP_NOT_ALLOWED: _AMBIGUOUS,
    Reason.PERMISSION_MISSING: _AMBIGUOUS,
    Reason.ACCOUNT_RESTRICTED: (401, -2017, "API Keys are locked on this account."),
    Reason.REGION_RESTRICTED: (
        451,
        0,
        "Service unavailable from a restricted location according to 'b. Eligibility'.",
    ),
    Reason.WRONG_ENVIRONMENT: (400, -2008, "Invalid Api-Key ID."),
    Reason.AMBIGUOUS_CREDENTIALS: _AMBIGUOUS,
    Reason.CLOCK_SKEW: (400, -1021, "Timestamp for this request is outside of the recvWindow."),
    Reason.RATE_LIMITED: (429, -1003, "Too much request weight used; please slow down."),
    Reason.EXCHANGE_UNAVAILABLE: (
        503,
        -1001,
        "Internal error; unable to process your request. Please try again.",
    ),
    Reason.UNKNOWN: (400, -1000, "An unknown error occurred while processing the request."),
}

_RIGHTS = PathRights(
    {
        Right.PUBLIC: (
            "GET /api/v3/ping",
            "GET /api/v3/time",
            "GET /api/v3/exchangeInfo",
            "GET /api/v3/depth",
            "GET /api/v3/trades",
            "GET /api/v3/historicalTrades",
            "GET /api/v3/aggTrades",
            "GET /api/v3/klines",
            "GET /api/v3/uiKlines",
            "GET /api/v3/avgPrice",
            "GET /api/v3/ticker",
            "GET /api/v3/ticker/24hr",
            "GET /api/v3/ticker/tradingDay",
            "GET /api/v3/ticker/price",
            "GET /api/v3/ticker/bookTicker",
            "GET /sapi/v1/system/status",
            "GET /fapi/v1/exchangeInfo",
            "GET /dapi/v1/exchangeInfo",
        ),
        Right.KEY: ("GET /sapi/v1/account/apiRestrictions",),
        Right.READ: (
            "GET /api/v3/account",
            "GET /api/v3/account/commission",
            "GET /api/v3/order",
            "GET /api/v3/openOrders",
            "GET /api/v3/allOrders",
            "GET /api/v3/orderList",
            "GET /api/v3/allOrderList",
            "GET /api/v3/openOrderList",
            "GET /api/v3/myTrades",
            "GET /api/v3/myAllocations",
            "GET /api/v3/myPreventedMatches",
            "GET /api/v3/rateLimit/order",
            "GET /sapi/v1/account/status",
            "GET /sapi/v1/account/apiTradingStatus",
            "GET /sapi/v1/account/info",
            "GET /sapi/v1/accountSnapshot",
            "GET /sapi/v1/asset/assetDetail",
            "GET /sapi/v1/asset/tradeFee",
            "GET /sapi/v1/asset/transfer",
            "GET /sapi/v1/asset/wallet/balance",
            "POST /sapi/v1/asset/get-funding-asset",
            "POST /sapi/v3/asset/getUserAsset",
            "GET /sapi/v1/capital/config/getall",
            "GET /sapi/v1/capital/deposit/address",
            "GET /sapi/v1/capital/deposit/hisrec",
            "GET /sapi/v1/capital/withdraw/history",
            "GET /sapi/v1/margin/allPairs",
            "GET /sapi/v1/margin/isolated/allPairs",
        ),
        Right.TRADE: (
            "POST /api/v3/order",
            "POST /api/v3/order/test",
            "POST /api/v3/order/cancelReplace",
            "POST /api/v3/order/oco",
            "POST /api/v3/orderList/oco",
            "POST /api/v3/orderList/oto",
            "POST /api/v3/orderList/otoco",
            "POST /api/v3/sor/order",
            "POST /api/v3/sor/order/test",
            "DELETE /api/v3/order",
            "DELETE /api/v3/openOrders",
            "DELETE /api/v3/orderList",
        ),
        Right.TRANSFER: (
            "POST /sapi/v1/asset/transfer",
            "POST /sapi/v1/asset/dust",
            "POST /sapi/v1/asset/dust-btc",
            "POST /sapi/v1/futures/transfer",
            "POST /sapi/v1/margin/transfer",
            "POST /sapi/v1/margin/isolated/transfer",
            "POST /sapi/v1/sub-account/universalTransfer",
            "POST /sapi/v1/sub-account/transfer/subToSub",
            "POST /sapi/v1/sub-account/transfer/subToMaster",
        ),
        Right.WITHDRAW: (
            "POST /sapi/v1/capital/withdraw/apply",
            "POST /sapi/v1/localentity/withdraw/apply",
            "POST /sapi/v1/account/disableFastWithdrawSwitch",
            "POST /sapi/v1/account/enableFastWithdrawSwitch",
        ),
    }
)

_ORDER = OrderForm(
    order_id="orderId",
    client_order_id="clientOrderId",
    instrument="symbol",
    side="side",
    kind="type",
    price="price",
    amount="origQty",
    filled="executedQty",
    created_at="time",
)


class BinanceDialect(Dialect):
    """How Binance speaks."""

    exchange: ClassVar[str] = "binance"

    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key a request names, or None where it names none."""
        return named_key(request.headers.get("x-mbx-apikey"))

    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Return the request with key, time and signature; writes carry them in their form."""
        query = without(request.query, "signature", "timestamp")
        form = without(body_text(request), "signature", "timestamp")
        named = with_headers(request, x_mbx_apikey=keys.api_key)
        time = f"timestamp={now_ms}"
        if request.method.upper() not in ("POST", "PUT"):
            query = joined(query, time)
            signature = hmac_hex(keys.api_secret, query + form)
            return replace(named, query=f"{query}&signature={signature}")
        form = joined(form, time)
        body = f"{form}&signature={hmac_hex(keys.api_secret, query + form)}"
        return replace(
            with_headers(named, content_type="application/x-www-form-urlencoded"),
            query=query,
            body=body.encode("utf-8", "surrogateescape"),
        )

    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Judge the time first, then the signature over query and body as they were sent."""
        sent = joined(request.query, body_text(request))
        if not _timely(sent, now_ms):
            return Reason.CLOCK_SKEW
        if count_of(sent, "signature") != 1:
            return Reason.BAD_SIGNATURE
        # Query and body follow each other without a separator in the signed text.
        signed = without(request.query, "signature") + without(body_text(request), "signature")
        right_key = same(self.api_key_in(request), keys.api_key)
        # The documentation calls the signature case-insensitive.
        given = (parameter(sent, "signature") or "").lower()
        right_signature = same(given, hmac_hex(keys.api_secret, signed))
        return None if right_key and right_signature else Reason.BAD_SIGNATURE

    def right_needed(self, request: WireRequest) -> Right:
        """Return what a key must be allowed to do for this method and path."""
        return _RIGHTS.of(request)

    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read a refusal by code; codes 0, -2010 and -2011 by their words."""
        answer = parsed_object(body) or {}
        code = raw_code(answer.get("code"))
        if code is None:
            return None
        words = text_of(answer.get("msg")).lower()
        if code == "0" and any(word in words for word in _REGION_WORDS):
            return Refusal(Reason.REGION_RESTRICTED, code)
        if code in ("-2010", "-2011") and any(word in words for word in _ACCOUNT_WORDS):
            return Refusal(Reason.ACCOUNT_RESTRICTED, code)
        return refusal(_REASONS.get(code, Reason.UNKNOWN), code)

    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Return Binance's answer; an unknown key, address or right all give the same one."""
        status, code, words = _SPOKEN[reason]
        return json_answer(status, {"code": code, "msg": words})

    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read `GET /api/v3/account`."""
        return balances(
            Balance(text_in(row, "asset"), amount_in(row, "free"), amount_in(row, "locked"))
            for row in objects_in(answer_at(answers, 0), "balances")
        )

    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read `GET /api/v3/openOrders`, a bare list."""
        return open_orders(_ORDER.read(row) for row in objects_in(answer_at(answers, 0)))

    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read `GET /sapi/v1/account/apiRestrictions`. The allow list itself is not told."""
        if answer_at(answers, 0) is None:
            return KeyInformation()
        told = object_in(answers[0])
        if Known.UNKNOWN in (known_in(told, "enableReading"), known_in(told, "ipRestrict")):
            raise NotTheExchange
        return KeyInformation(
            can_read=known_in(told, "enableReading"),
            can_trade=known_in(told, "enableSpotAndMarginTrading"),
            can_withdraw=known_in(told, "enableWithdrawals"),
            can_transfer=_either(
                known_in(told, "enableInternalTransfer"), known_in(told, "permitsUniversalTransfer")
            ),
            ip_restricted=known_in(told, "ipRestrict"),
            trading_ends_at=moment_in(told, "tradingAuthorityExpirationTime"),
        )


def _timely(sent: str, now_ms: int) -> bool:
    window_text = parameter(sent, "recvWindow")
    window_ms = _RECEIVE_WINDOW_MS if window_text is None else whole_number(window_text)
    if window_ms is None or window_ms > _RECEIVE_WINDOW_MAX_MS:
        return False
    sent_ms = whole_number(parameter(sent, "timestamp"))
    return in_window(sent_ms, now_ms, behind_ms=window_ms, ahead_ms=_AHEAD_MAX_MS)


def _either(*statements: Known) -> Known:
    for answer in (Known.YES, Known.UNKNOWN):
        if answer in statements:
            return answer
    return Known.NO
