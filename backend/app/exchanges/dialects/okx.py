"""OKX: time, method, path with query and body are signed; the passphrase travels in clear.

Source: https://www.okx.com/docs-v5/en/ (REST authentication, error codes)
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import Dialect, NotTheExchange
from backend.app.exchanges.dialects.open_orders import OrderForm, open_orders, pages
from backend.app.exchanges.dialects.paths import PathRights
from backend.app.exchanges.dialects.reading import (
    answer_at,
    balances,
    known,
    object_in,
    objects_in,
    optional_amount_in,
    optional_text_in,
    text_in,
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
    hmac_base64,
    in_window,
    iso_milliseconds,
    moment_ms,
    named_key,
    same,
    with_headers,
)
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import Right, SigningKeys, WireAnswer, WireRequest

_WINDOW_MS = 30_000

_REASONS = {
    "50001": Reason.EXCHANGE_UNAVAILABLE,
    "50004": Reason.EXCHANGE_UNAVAILABLE,
    "50005": Reason.EXCHANGE_UNAVAILABLE,
    "50007": Reason.ACCOUNT_RESTRICTED,
    "50011": Reason.RATE_LIMITED,
    "50013": Reason.EXCHANGE_UNAVAILABLE,
    "50026": Reason.EXCHANGE_UNAVAILABLE,
    "50027": Reason.ACCOUNT_RESTRICTED,
    "50030": Reason.PERMISSION_MISSING,
    "50035": Reason.PERMISSION_MISSING,
    "50040": Reason.RATE_LIMITED,
    "50061": Reason.RATE_LIMITED,
    "50100": Reason.ACCOUNT_RESTRICTED,
    "50101": Reason.WRONG_ENVIRONMENT,
    "50102": Reason.CLOCK_SKEW,
    "50104": Reason.WRONG_PASSPHRASE,
    "50105": Reason.WRONG_PASSPHRASE,
    "50106": Reason.BAD_SIGNATURE,
    "50107": Reason.CLOCK_SKEW,
    "50110": Reason.IP_NOT_ALLOWED,
    "50111": Reason.INVALID_KEY,
    "50112": Reason.CLOCK_SKEW,
    "50113": Reason.BAD_SIGNATURE,
    "50119": Reason.INVALID_KEY,
    "50120": Reason.PERMISSION_MISSING,
    "50121": Reason.REGION_RESTRICTED,
}
# With these the answer only says that its items hold the codes.
_CODES_OF_A_BATCH = ("0", "1", "2")

_GONE = (401, "50119", "API key doesn't exist")
_SPOKEN: Mapping[Reason, tuple[int, str, str]] = {
    Reason.INVALID_KEY: _GONE,
    Reason.BAD_SIGNATURE: (401, "50113", "Invalid Sign"),
    Reason.WRONG_PASSPHRASE: (401, "50105", "Request header OK-ACCESS-PASSPHRASE incorrect."),
    # There is no code for an expired key: it is gone.
    Reason.KEY_EXPIRED: _GONE,
    Reason.IP_NOT_ALLOWED: (
        401,
        "50110",
        "Your IP {address} is not included in your API key's IP whitelist.",
    ),
    Reason.PERMISSION_MISSING: (
        401,
        "50120",
        "This API key doesn't have permission to use this function",
    ),
    Reason.ACCOUNT_RESTRICTED: (200, "50007", "User blocked"),
    Reason.REGION_RESTRICTED: (
        200,
        "50121",
        "You can't access our services through the IP address ({address})",
    ),
    Reason.WRONG_ENVIRONMENT: (401, "50101", "APIKey does not match current environment."),
    Reason.AMBIGUOUS_CREDENTIALS: _GONE,
    Reason.CLOCK_SKEW: (401, "50102", "Timestamp request expired"),
    Reason.RATE_LIMITED: (429, "50011", "Too Many Requests"),
    Reason.EXCHANGE_UNAVAILABLE: (
        503,
        "50001",
        "Service temporarily unavailable. Please try again later.",
    ),
    Reason.UNKNOWN: (400, "50000", "Body for POST request cannot be empty."),
}

_RIGHTS = PathRights(
    {
        Right.PUBLIC: (
            "GET /api/v5/public/time",
            "GET /api/v5/public/instruments",
            "GET /api/v5/public/price-limit",
            "GET /api/v5/system/status",
            "GET /api/v5/market/ticker",
            "GET /api/v5/market/tickers",
            "GET /api/v5/market/books",
            "GET /api/v5/market/books-full",
            "GET /api/v5/market/books-lite",
            "GET /api/v5/market/candles",
            "GET /api/v5/market/history-candles",
            "GET /api/v5/market/trades",
            "GET /api/v5/market/history-trades",
            "GET /api/v5/market/exchange-rate",
            "GET /api/v5/market/platform-24-volume",
        ),
        Right.KEY: ("GET /api/v5/account/config",),
        Right.READ: (
            "GET /api/v5/account/balance",
            "GET /api/v5/account/instruments",
            "GET /api/v5/account/bills",
            "GET /api/v5/account/bills-archive",
            "GET /api/v5/account/max-size",
            "GET /api/v5/account/max-avail-size",
            "GET /api/v5/account/max-withdrawal",
            "GET /api/v5/account/trade-fee",
            "GET /api/v5/asset/currencies",
            "GET /api/v5/asset/balances",
            "GET /api/v5/asset/asset-valuation",
            "GET /api/v5/asset/bills",
            "GET /api/v5/asset/deposit-address",
            "GET /api/v5/asset/deposit-history",
            "GET /api/v5/asset/withdrawal-history",
            "GET /api/v5/asset/transfer-state",
            "GET /api/v5/trade/order",
            "GET /api/v5/trade/orders-pending",
            "GET /api/v5/trade/orders-history",
            "GET /api/v5/trade/orders-history-archive",
            "GET /api/v5/trade/fills",
            "GET /api/v5/trade/fills-history",
            "GET /api/v5/trade/order-algo",
            "GET /api/v5/trade/orders-algo-pending",
            "GET /api/v5/trade/orders-algo-history",
            "GET /api/v5/trade/account-rate-limit",
        ),
        Right.TRADE: (
            "POST /api/v5/trade/order",
            "POST /api/v5/trade/order-precheck",
            "POST /api/v5/trade/batch-orders",
            "POST /api/v5/trade/cancel-order",
            "POST /api/v5/trade/cancel-batch-orders",
            "POST /api/v5/trade/amend-order",
            "POST /api/v5/trade/amend-batch-orders",
            "POST /api/v5/trade/cancel-all-after",
            "POST /api/v5/trade/order-algo",
            "POST /api/v5/trade/cancel-algos",
            "POST /api/v5/trade/amend-algos",
        ),
        Right.TRANSFER: (
            "POST /api/v5/asset/transfer",
            "POST /api/v5/asset/subaccount/transfer",
        ),
        Right.WITHDRAW: (
            "POST /api/v5/asset/withdrawal",
            "POST /api/v5/asset/withdrawal-lightning",
            "POST /api/v5/asset/cancel-withdrawal",
        ),
    }
)

_ORDER = OrderForm(
    order_id="ordId",
    client_order_id="clOrdId",
    instrument="instId",
    side="side",
    kind="ordType",
    price="px",
    amount="sz",
    filled="accFillSz",
    created_at="cTime",
    separator="-",
)


class OkxDialect(Dialect):
    """How OKX speaks."""

    exchange: ClassVar[str] = "okx"

    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key a request names, or None where it names none."""
        return named_key(request.headers.get("ok-access-key"))

    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Return the request with the four OK-ACCESS headers."""
        time = iso_milliseconds(now_ms)
        return with_headers(
            request,
            ok_access_key=keys.api_key,
            ok_access_passphrase=keys.passphrase or "",
            ok_access_timestamp=time,
            ok_access_sign=_signature(request, keys, time),
            content_type="application/json",
        )

    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Judge the time, then the passphrase, then the signature."""
        time = request.headers.get("ok-access-timestamp", "")
        if not in_window(moment_ms(time), now_ms, behind_ms=_WINDOW_MS, ahead_ms=_WINDOW_MS):
            return Reason.CLOCK_SKEW
        if not same(request.headers.get("ok-access-passphrase"), keys.passphrase):
            return Reason.WRONG_PASSPHRASE
        right_key = same(self.api_key_in(request), keys.api_key)
        given = request.headers.get("ok-access-sign")
        right_signature = same(given, _signature(request, keys, time))
        return None if right_key and right_signature else Reason.BAD_SIGNATURE

    def right_needed(self, request: WireRequest) -> Right:
        """Return what a key must be allowed to do for this method and path."""
        return _RIGHTS.of(request)

    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read a refusal by code, of the answer or of the first item of a batch that failed."""
        answer = parsed_object(body) or {}
        code, words = raw_code(answer.get("code")), text_of(answer.get("msg"))
        if code in _CODES_OF_A_BATCH:
            code, words = _failed_item(answer.get("data")) or (code, words)
        if code is None or code == "0":
            return None
        return refusal(_REASONS.get(code, Reason.UNKNOWN), code, words)

    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Return OKX's answer; refusals before the account is known carry no data."""
        status, code, words = _SPOKEN[reason]
        body: dict[str, Any] = {"msg": words.format(address=caller_address), "code": code}
        return json_answer(
            status, body if status == HTTPStatus.UNAUTHORIZED else {**body, "data": []}
        )

    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read `GET /api/v5/account/balance`."""
        return balances(
            Balance(
                text_in(row, "ccy"),
                optional_amount_in(row, "availBal"),
                optional_amount_in(row, "frozenBal"),
            )
            for row in objects_in(_first(answer_at(answers, 0)), "details")
        )

    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read the pages of `GET /api/v5/trade/orders-pending`."""
        return open_orders(_ORDER.read(row) for answer in pages(answers) for row in _rows(answer))

    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read `GET /api/v5/account/config`. A trade right moves funds between own accounts."""
        if answer_at(answers, 0) is None:
            return KeyInformation()
        told = _first(answers[0])
        if not isinstance(told.get("perm"), str):
            raise NotTheExchange
        rights, addresses = words_in(told, "perm"), words_in(told, "ip")
        owner, main = optional_text_in(told, "uid"), optional_text_in(told, "mainUid")
        return KeyInformation(
            can_read=known("read_only" in rights),
            can_trade=known("trade" in rights),
            can_withdraw=known("withdraw" in rights),
            can_transfer=known("trade" in rights),
            ip_restricted=known(bool(addresses)),
            ip_addresses=addresses,
            is_sub_account=known(owner != main) if owner and main else Known.UNKNOWN,
            owner_uid=owner,
        )


def _signature(request: WireRequest, keys: SigningKeys, time: str) -> str:
    query = f"?{request.query}" if request.query else ""
    text = f"{time}{request.method.upper()}{request.path}{query}{body_text(request)}"
    return hmac_base64(keys.api_secret, text)


def _failed_item(data: Any) -> tuple[str, str] | None:
    for item in data if isinstance(data, list) else ():
        code = raw_code(item.get("sCode")) if isinstance(item, dict) else None
        if code not in (None, "0"):
            return str(code), text_of(item.get("sMsg"))
    return None


def _first(answer: Any) -> dict[str, Any]:
    items = _rows(answer)
    if not items:
        raise NotTheExchange
    return items[0]


def _rows(answer: Any) -> list[dict[str, Any]]:
    if object_in(answer).get("code") != "0":
        raise NotTheExchange
    return objects_in(answer, "data")
