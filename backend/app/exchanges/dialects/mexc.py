"""MEXC: everything signed travels in the query, and the signature is one more parameter of it.

Source: MEXC Spot V3 API documentation, "SIGNED" and "Timing security"; CCXT 4.5.90.
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
    granted,
    known,
    object_in,
    objects_in,
    optional_text_in,
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
# "timestamp < serverTime + 1000": the thousandth millisecond is too early.
_AHEAD_MS = 999
_SUCCESS = ("0", "200")

# The texts of 700001 and 700002 were also seen for expired keys; the code cannot tell them apart.
_REASONS: Mapping[str, Reason] = {
    "10072": Reason.INVALID_KEY,
    "602": Reason.BAD_SIGNATURE,
    "700001": Reason.BAD_SIGNATURE,
    "700002": Reason.BAD_SIGNATURE,
    "402": Reason.KEY_EXPIRED,
    "406": Reason.IP_NOT_ALLOWED,
    "700006": Reason.IP_NOT_ALLOWED,
    "511": Reason.PERMISSION_MISSING,
    "701": Reason.PERMISSION_MISSING,
    "702": Reason.PERMISSION_MISSING,
    "703": Reason.PERMISSION_MISSING,
    "704": Reason.PERMISSION_MISSING,
    "700007": Reason.PERMISSION_MISSING,
    "10073": Reason.CLOCK_SKEW,
    "700003": Reason.CLOCK_SKEW,
    "700005": Reason.CLOCK_SKEW,
    "30018": Reason.ACCOUNT_RESTRICTED,
    "60005": Reason.ACCOUNT_RESTRICTED,
    "730100": Reason.ACCOUNT_RESTRICTED,
    "429": Reason.RATE_LIMITED,
    "510": Reason.RATE_LIMITED,
    "500": Reason.EXCHANGE_UNAVAILABLE,
    "501": Reason.EXCHANGE_UNAVAILABLE,
    "503": Reason.EXCHANGE_UNAVAILABLE,
    "504": Reason.EXCHANGE_UNAVAILABLE,
    "604": Reason.EXCHANGE_UNAVAILABLE,
    "801": Reason.EXCHANGE_UNAVAILABLE,
}

_NO_KEY = (400, 10072, "Api key info invalid")
_BAD_SIGNATURE = (400, 700002, "Signature for this request is not valid.")
_REFUSALS: Mapping[Reason, tuple[int, int, str]] = {
    Reason.INVALID_KEY: _NO_KEY,
    Reason.WRONG_ENVIRONMENT: _NO_KEY,
    Reason.AMBIGUOUS_CREDENTIALS: _NO_KEY,
    Reason.BAD_SIGNATURE: _BAD_SIGNATURE,
    # MEXC keys have no passphrase.
    Reason.WRONG_PASSPHRASE: _BAD_SIGNATURE,
    Reason.KEY_EXPIRED: (400, 402, "API Key expired, please apply again"),
    Reason.IP_NOT_ALLOWED: (400, 700006, "IP [{address}] not in the ip white list"),
    Reason.PERMISSION_MISSING: (400, 700007, "No permission to access the endpoint."),
    Reason.ACCOUNT_RESTRICTED: (400, 730100, "Unusual user status"),
    # No code of its own is known; this one says nothing of the key.
    Reason.REGION_RESTRICTED: (403, 403, "Access Denied"),
    Reason.CLOCK_SKEW: (
        400,
        700003,
        "Timestamp for this request is outside of the recvWindow.",
    ),
    Reason.RATE_LIMITED: (429, 429, "Too Many Requests"),
    Reason.EXCHANGE_UNAVAILABLE: (503, 503, "service not available, please try again"),
    Reason.UNKNOWN: (400, 400, "Bad request"),
}

_READ = ("SPOT_ACCOUNT_READ", "SPOT_ACCOUNT_WRITE")
_TRADE = ("SPOT_DEAL_WRITE",)
_TRANSFER = ("SPOT_TRANSFER_WRITE",)
_WITHDRAW = ("SPOT_WITHDRAW_WRITE",)
_DOCUMENTED = tuple(
    f"{scope}_{access}"
    for scope in (
        "SPOT_ACCOUNT",
        "SPOT_DEAL",
        "SPOT_TRANSFER",
        "SPOT_WITHDRAW",
        "SPOT_DEPOSIT",
        "CONTRACT_ACCOUNT",
        "CONTRACT_DEAL",
    )
    for access in ("READ", "WRITE")
)
_STATUS_VALID = "VALID"

# POST on apiKeyInfo changes the key, so it stands under no right.
_RIGHTS = PathRights(
    {
        Right.PUBLIC: (
            "GET /api/v3/ping",
            "GET /api/v3/time",
            "GET /api/v3/defaultSymbols",
            "GET /api/v3/exchangeInfo",
            "GET /api/v3/depth",
            "GET /api/v3/trades",
            "GET /api/v3/historicalTrades",
            "GET /api/v3/aggTrades",
            "GET /api/v3/klines",
            "GET /api/v3/avgPrice",
            "GET /api/v3/ticker/24hr",
            "GET /api/v3/ticker/price",
            "GET /api/v3/ticker/bookTicker",
            "GET /api/v1/contract/detail",
        ),
        Right.KEY: ("GET /api/v3/apiKeyInfo",),
        Right.READ: (
            "GET /api/v3/account",
            "GET /api/v3/kyc/status",
            "GET /api/v3/uid",
            "GET /api/v3/selfSymbols",
            "GET /api/v3/order",
            "GET /api/v3/openOrders",
            "GET /api/v3/allOrders",
            "GET /api/v3/myTrades",
            "GET /api/v3/tradeFee",
            "GET /api/v3/mxDeduct/enable",
            "GET /api/v3/capital/config/getall",
            "GET /api/v3/capital/deposit/hisrec",
            "GET /api/v3/capital/deposit/address",
            "GET /api/v3/capital/withdraw/history",
            "GET /api/v3/capital/withdraw/address",
            "GET /api/v3/capital/transfer",
            "GET /api/v3/capital/transfer/tranId",
            "GET /api/v3/capital/transfer/internal",
            "GET /api/v3/capital/convert/list",
            "GET /api/v3/userDataStream",
            "POST /api/v3/userDataStream",
            "PUT /api/v3/userDataStream",
            "DELETE /api/v3/userDataStream",
        ),
        Right.TRADE: (
            "POST /api/v3/order",
            "POST /api/v3/order/test",
            "POST /api/v3/batchOrders",
            "DELETE /api/v3/order",
            "DELETE /api/v3/openOrders",
        ),
        Right.TRANSFER: (
            "POST /api/v3/capital/transfer",
            "POST /api/v3/capital/sub-account/universalTransfer",
            "POST /api/v3/capital/deposit/address",
        ),
        Right.WITHDRAW: (
            "POST /api/v3/capital/withdraw",
            "POST /api/v3/capital/withdraw/apply",
            "DELETE /api/v3/capital/withdraw",
            # To another person's account, so it takes money out.
            "POST /api/v3/capital/transfer/internal",
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


class MexcDialect(Dialect):
    """How MEXC speaks."""

    exchange: ClassVar[str] = "mexc"

    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key of the header X-MEXC-APIKEY."""
        return named_key(request.headers.get("x-mexc-apikey"))

    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Return the request with time, window and signature at the end of its query."""
        query = joined(
            without(request.query, "timestamp", "recvWindow", "signature"),
            f"timestamp={now_ms}&recvWindow={_RECEIVE_WINDOW_MS}",
        )
        signature = hmac_hex(keys.api_secret, query + body_text(request))
        return with_headers(
            replace(request, query=f"{query}&signature={signature}"),
            x_mexc_apikey=keys.api_key,
            content_type="application/json",
        )

    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Check the time against the window the request asks for, then the signature."""
        window_ms = _RECEIVE_WINDOW_MS
        if (asked := parameter(request.query, "recvWindow")) is not None:
            window_ms = whole_number(asked) or 0
        if not 0 < window_ms <= _RECEIVE_WINDOW_MAX_MS:
            return Reason.CLOCK_SKEW
        sent_ms = whole_number(parameter(request.query, "timestamp"))
        if not in_window(sent_ms, now_ms, behind_ms=window_ms, ahead_ms=_AHEAD_MS):
            return Reason.CLOCK_SKEW
        signed = without(request.query, "signature") + body_text(request)
        right_key = same(self.api_key_in(request), keys.api_key)
        expected = hmac_hex(keys.api_secret, signed)
        once = count_of(request.query, "signature") == 1
        right_signature = once and same(parameter(request.query, "signature"), expected)
        return None if right_key and right_signature else Reason.BAD_SIGNATURE

    def right_needed(self, request: WireRequest) -> Right:
        """Look the path up among the spot paths."""
        return _RIGHTS.of(request)

    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read `code`; an unlisted one is maintenance where the text says so."""
        answer = parsed_object(body) or {}
        code = raw_code(answer.get("code"))
        if code is None or code in _SUCCESS or answer.get("success") is True:
            return None
        # The old form says "message".
        text = text_of(answer.get("msg")) or text_of(answer.get("message"))
        down = "maintenance" in text.lower()
        unlisted = Reason.EXCHANGE_UNAVAILABLE if down else Reason.UNKNOWN
        return refusal(_REASONS.get(code, unlisted), code, text)

    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Say a reason as MEXC does; no code is known for environment and ambiguity."""
        status, code, text = _REFUSALS[reason]
        return json_answer(status, {"code": code, "msg": text.replace("{address}", caller_address)})

    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read `/api/v3/account`; the list of balances is what proves a success."""
        return balances(
            Balance(text_in(row, "asset"), amount_in(row, "free"), amount_in(row, "locked"))
            for row in objects_in(answer_at(answers, 0), "balances")
        )

    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read `GET /api/v3/openOrders`, a bare list."""
        return open_orders(_ORDER.read(row) for row in objects_in(answer_at(answers, 0)))

    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read `/api/v3/apiKeyInfo`. MEXC tells the days that remain, not the end."""
        answer = answer_at(answers, 0)
        if answer is None:
            return KeyInformation()
        told = object_in(answer)
        # Without the list of rights it could be anything.
        if not isinstance(told.get("permissions"), str):
            raise NotTheExchange
        ip_told, addresses = "ipWhiteList" in told, words_in(told, "ipWhiteList")
        about = KeyInformation(
            ip_restricted=known(bool(addresses)) if ip_told else Known.UNKNOWN,
            ip_addresses=addresses if ip_told else None,
            remaining_days=_remaining_days(told),
        )
        if optional_text_in(told, "status") not in (None, _STATUS_VALID):
            return about
        held = words_in(told, "permissions")
        return replace(
            about,
            can_read=granted(held, _READ, _DOCUMENTED),
            can_trade=granted(held, _TRADE, _DOCUMENTED),
            can_withdraw=granted(held, _WITHDRAW, _DOCUMENTED),
            can_transfer=granted(held, _TRANSFER, _DOCUMENTED),
        )


def _remaining_days(told: dict[str, Any]) -> int | None:
    if told.get("remainingValidity") in (None, ""):
        return None
    days = whole_in(told, "remainingValidity")
    return days if days >= 0 else None
