"""KuCoin: the passphrase is keyed with the secret, the query is signed without its encoding.

Source: KuCoin API documentation, "Authentication"; CCXT 4.5.90.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import Dialect, NotTheExchange
from backend.app.exchanges.dialects.open_orders import OrderForm, open_orders, pages
from backend.app.exchanges.dialects.paths import PathRights
from backend.app.exchanges.dialects.reading import (
    amount_in,
    answer_at,
    balances,
    granted,
    known,
    known_in,
    object_in,
    objects_in,
    optional_text_in,
    text_in,
    texts_in,
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
    decoded,
    hmac_base64,
    in_window,
    named_key,
    same,
    whole_number,
    with_headers,
)
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import Right, SigningKeys, WireAnswer, WireRequest

_WINDOW_MS = 5_000
_SUCCESS = ("200000", "200")

# A key of version 1 sends its passphrase in clear; 2 and 3 send it keyed with the secret.
_CLEAR_VERSION = "1"
_KEYED_VERSIONS = ("2", "3")

# "main" is the funding account: nothing there can be traded. An account trades on one of the two.
_SPOT_ACCOUNT_TYPES = ("trade", "trade_hf")

_OPPOSITE = {Known.YES: Known.NO, Known.NO: Known.YES, Known.UNKNOWN: Known.UNKNOWN}

_READ = ("General",)
_TRADE = ("Spot", "Trade")
# The documentation describes Transfer as able to take money out; InnerTransfer is not.
_WITHDRAW = ("Transfer", "Withdrawal")
_TRANSFER = ("Transfer", "InnerTransfer")
_DOCUMENTED = (*_READ, *_TRADE, *_WITHDRAW, *_TRANSFER, "Margin", "Futures", "Earn")

# 400001 (a header is missing) is not listed: it says something of the request, not of the key.
_REASONS: Mapping[str, Reason] = {
    "400002": Reason.CLOCK_SKEW,
    "400003": Reason.INVALID_KEY,
    "400004": Reason.WRONG_PASSPHRASE,
    "400005": Reason.BAD_SIGNATURE,
    "400006": Reason.IP_NOT_ALLOWED,
    "400007": Reason.PERMISSION_MISSING,
    "112010": Reason.PERMISSION_MISSING,
    "130201": Reason.ACCOUNT_RESTRICTED,
    "130302": Reason.ACCOUNT_RESTRICTED,
    "400303": Reason.ACCOUNT_RESTRICTED,
    "411100": Reason.ACCOUNT_RESTRICTED,
    "126037": Reason.REGION_RESTRICTED,
    "126046": Reason.REGION_RESTRICTED,
    "130315": Reason.REGION_RESTRICTED,
    "400500": Reason.REGION_RESTRICTED,
    "429": Reason.RATE_LIMITED,
    "429000": Reason.RATE_LIMITED,
    "408000": Reason.EXCHANGE_UNAVAILABLE,
    "500": Reason.EXCHANGE_UNAVAILABLE,
    "503": Reason.EXCHANGE_UNAVAILABLE,
    "500000": Reason.EXCHANGE_UNAVAILABLE,
}

_NO_KEY = (401, "400003", "KC-API-KEY not exists")
_REFUSALS: Mapping[Reason, tuple[int, str, str]] = {
    Reason.INVALID_KEY: _NO_KEY,
    Reason.KEY_EXPIRED: _NO_KEY,
    Reason.WRONG_ENVIRONMENT: _NO_KEY,
    Reason.AMBIGUOUS_CREDENTIALS: _NO_KEY,
    Reason.BAD_SIGNATURE: (401, "400005", "Invalid KC-API-SIGN"),
    Reason.WRONG_PASSPHRASE: (401, "400004", "Invalid KC-API-PASSPHRASE"),
    Reason.IP_NOT_ALLOWED: (
        401,
        "400006",
        "Invalid request ip, the current clientIp is:{address}",
    ),
    Reason.PERMISSION_MISSING: (401, "400007", "Access denied, require more permission"),
    Reason.ACCOUNT_RESTRICTED: (
        400,
        "130201",
        "Your account has restricted access to certain features.",
    ),
    Reason.REGION_RESTRICTED: (
        400,
        "400500",
        "Your located country/region is currently not supported for the trading of this token",
    ),
    Reason.CLOCK_SKEW: (401, "400002", "Invalid KC-API-TIMESTAMP"),
    Reason.RATE_LIMITED: (
        429,
        "429000",
        "Too many requests. System-level rate limit exceeded.",
    ),
    Reason.EXCHANGE_UNAVAILABLE: (500, "500000", "Internal Server Error"),
    Reason.UNKNOWN: (400, "400100", "Bad request"),
}

_RIGHTS = PathRights(
    {
        Right.PUBLIC: (
            "GET /api/v1/timestamp",
            "GET /api/v1/status",
            "GET /api/v3/currencies",
            "GET /api/v3/currencies/{currency}",
            "GET /api/v1/symbols",
            "GET /api/v2/symbols",
            "GET /api/v2/symbols/{symbol}",
            "GET /api/v1/markets",
            "GET /api/v1/prices",
            "GET /api/v1/market/allTickers",
            "GET /api/v1/market/stats",
            "GET /api/v1/market/candles",
            "GET /api/v1/market/histories",
            "GET /api/v1/market/orderbook/level1",
            "GET /api/v1/market/orderbook/level2_20",
            "GET /api/v1/market/orderbook/level2_100",
            "GET /api/v3/announcements",
            "GET /api/v1/contracts/active",
            "POST /api/v1/bullet-public",
        ),
        Right.KEY: ("GET /api/v1/user/api-key",),
        Right.READ: (
            "GET /api/v2/user-info",
            "GET /api/v1/accounts",
            "GET /api/v1/accounts/{account}",
            "GET /api/v1/accounts/ledgers",
            "GET /api/v1/accounts/transferable",
            "GET /api/v1/hf/accounts/ledgers",
            "GET /api/v1/hf/accounts/opened",
            "GET /api/v1/base-fee",
            "GET /api/v1/trade-fees",
            "GET /api/v1/deposit-addresses",
            "GET /api/v2/deposit-addresses",
            "GET /api/v3/deposit-addresses",
            "GET /api/v1/deposits",
            "GET /api/v1/hist-deposits",
            "GET /api/v1/withdrawals",
            "GET /api/v1/withdrawals/quotas",
            "GET /api/v1/hist-withdrawals",
            "GET /api/v3/market/orderbook/level2",
            "GET /api/v3/margin/symbols",
            "GET /api/v1/isolated/symbols",
            "GET /api/v1/orders",
            "GET /api/v1/orders/{order}",
            "GET /api/v1/order/client-order/{client}",
            "GET /api/v1/limit/orders",
            "GET /api/v1/fills",
            "GET /api/v1/limit/fills",
            "GET /api/v1/hf/orders/active",
            "GET /api/v1/hf/orders/active/symbols",
            "GET /api/v1/hf/orders/done",
            "GET /api/v1/hf/orders/{order}",
            "GET /api/v1/hf/orders/client-order/{client}",
            "GET /api/v1/hf/orders/dead-cancel-all/query",
            "GET /api/v1/hf/fills",
            "GET /api/v1/stop-order",
            "GET /api/v1/stop-order/{order}",
            "GET /api/v1/stop-order/queryOrderByClientOid",
            "GET /api/v3/oco/orders",
            "GET /api/v3/oco/order/{order}",
            "GET /api/v3/oco/order/details/{order}",
            "GET /api/v3/oco/client-order/{client}",
            "GET /api/ua/v1/account/mode",
            "GET /api/ua/v1/unified/account/balance",
            "GET /api/ua/v1/unified/order/detail",
            "GET /api/ua/v1/unified/order/open-list",
            "GET /api/ua/v1/unified/order/history",
            "GET /api/ua/v1/unified/order/execution",
            "POST /api/v1/bullet-private",
        ),
        Right.TRADE: (
            "POST /api/v1/orders",
            "POST /api/v1/orders/test",
            "POST /api/v1/orders/multi",
            "DELETE /api/v1/orders",
            "DELETE /api/v1/orders/{order}",
            "DELETE /api/v1/order/client-order/{client}",
            "POST /api/v1/hf/orders",
            "POST /api/v1/hf/orders/test",
            "POST /api/v1/hf/orders/sync",
            "POST /api/v1/hf/orders/multi",
            "POST /api/v1/hf/orders/multi/sync",
            "POST /api/v1/hf/orders/alter",
            "POST /api/v1/hf/orders/dead-cancel-all",
            "DELETE /api/v1/hf/orders",
            "DELETE /api/v1/hf/orders/cancelAll",
            "DELETE /api/v1/hf/orders/{order}",
            "DELETE /api/v1/hf/orders/sync/{order}",
            "DELETE /api/v1/hf/orders/cancel/{order}",
            "DELETE /api/v1/hf/orders/client-order/{client}",
            "DELETE /api/v1/hf/orders/sync/client-order/{client}",
            "POST /api/v1/stop-order",
            "DELETE /api/v1/stop-order/{order}",
            "DELETE /api/v1/stop-order/cancel",
            "DELETE /api/v1/stop-order/cancelOrderByClientOid",
            "POST /api/v3/oco/order",
            "DELETE /api/v3/oco/orders",
            "DELETE /api/v3/oco/order/{order}",
            "DELETE /api/v3/oco/client-order/{client}",
            "POST /api/ua/v1/unified/order/place",
            "POST /api/ua/v1/unified/order/place-batch",
            "POST /api/ua/v1/unified/order/cancel",
            "POST /api/ua/v1/unified/order/cancel-batch",
            "POST /api/ua/v1/unified/order/cancel-all",
        ),
        Right.TRANSFER: (
            "POST /api/v3/accounts/universal-transfer",
            "POST /api/v2/accounts/sub-transfer",
            "POST /api/v2/accounts/inner-transfer",
            "POST /api/v3/transfer-out",
            "POST /api/v1/transfer-in",
            "POST /api/v1/deposit-addresses",
            "POST /api/v3/deposit-address/create",
            "POST /api/ua/v1/account/transfer",
        ),
        Right.WITHDRAW: (
            "POST /api/v1/withdrawals",
            "POST /api/v3/withdrawals",
            "DELETE /api/v1/withdrawals/{withdrawal}",
        ),
    }
)

_ORDER = OrderForm(
    order_id="id",
    client_order_id="clientOid",
    instrument="symbol",
    side="side",
    kind="type",
    price="price",
    amount="size",
    filled="dealSize",
    created_at="createdAt",
    separator="-",
)


class KucoinDialect(Dialect):
    """How KuCoin speaks."""

    exchange: ClassVar[str] = "kucoin"

    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key of the header KC-API-KEY."""
        return named_key(request.headers.get("kc-api-key"))

    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Sign as a key of version 2 does."""
        # A partner's signature covers time and key, so an old one would be wrong now.
        kept = {
            name: value for name, value in request.headers.items() if not name.startswith("kc-api-")
        }
        return with_headers(
            replace(request, headers=kept),
            kc_api_key=keys.api_key,
            kc_api_key_version="2",
            kc_api_timestamp=str(now_ms),
            kc_api_passphrase=hmac_base64(keys.api_secret, keys.passphrase or ""),
            kc_api_sign=hmac_base64(keys.api_secret, _signed_text(request, str(now_ms))),
            content_type="application/json",
        )

    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Check time, passphrase and signature, in this order.

        So a wrong secret is told as a wrong passphrase: its header is keyed with the secret.
        """
        timestamp = request.headers.get("kc-api-timestamp", "")
        if not in_window(whole_number(timestamp), now_ms, _WINDOW_MS, _WINDOW_MS):
            return Reason.CLOCK_SKEW
        if not same(request.headers.get("kc-api-passphrase"), _passphrase(request, keys)):
            return Reason.WRONG_PASSPHRASE
        right_key = same(self.api_key_in(request), keys.api_key)
        expected = hmac_base64(keys.api_secret, _signed_text(request, timestamp))
        right_signature = same(request.headers.get("kc-api-sign"), expected)
        return None if right_key and right_signature else Reason.BAD_SIGNATURE

    def right_needed(self, request: WireRequest) -> Right:
        """Look the path up among the spot paths."""
        return _RIGHTS.of(request)

    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read `code`, or the text where the code is not listed."""
        answer = parsed_object(body) or {}
        code = raw_code(answer.get("code"))
        if code is None or code in _SUCCESS:
            return None
        text = text_of(answer.get("msg"))
        throttled = "exceeded the access frequency" in text.lower()
        unlisted = Reason.RATE_LIMITED if throttled else Reason.UNKNOWN
        return refusal(_REASONS.get(code, unlisted), code, text)

    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Say a reason as KuCoin does; no code is known for expiry, environment and ambiguity."""
        status, code, text = _REFUSALS[reason]
        return json_answer(status, {"code": code, "msg": text.replace("{address}", caller_address)})

    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read `/api/v1/accounts`: the rows of the trading accounts, added up by currency."""
        return balances(
            Balance(text_in(row, "currency"), amount_in(row, "available"), amount_in(row, "holds"))
            for row in objects_in(_data(answer_at(answers, 0)))
            if row.get("type") in _SPOT_ACCOUNT_TYPES
        )

    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read the open orders of both engines: pages of the older, lists of the newer."""
        return open_orders(
            _ORDER.read(row) for answer in pages(answers) for row in _order_rows(_data(answer))
        )

    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read `/api/v1/user/api-key`. KuCoin tells no end date."""
        answer = answer_at(answers, 0)
        if answer is None:
            return KeyInformation()
        data = object_in(_data(answer))
        # Without the list of rights it could be anything that answers 200000.
        if not isinstance(data.get("permission"), str):
            raise NotTheExchange
        held = words_in(data, "permission")
        addresses = words_in(data, "ipWhitelist")
        return KeyInformation(
            can_read=granted(held, _READ, _DOCUMENTED),
            can_trade=granted(held, _TRADE, _DOCUMENTED),
            can_withdraw=granted(held, _WITHDRAW, _DOCUMENTED),
            can_transfer=granted(held, _TRANSFER, _DOCUMENTED),
            ip_restricted=known(bool(addresses)),
            ip_addresses=addresses,
            is_sub_account=_OPPOSITE[known_in(data, "isMaster")],
            owner_uid=optional_text_in(data, "uid"),
        )


def _signed_text(request: WireRequest, timestamp: str) -> str:
    query = f"?{decoded(request.query)}" if request.query else ""
    return f"{timestamp}{request.method.upper()}{request.path}{query}{body_text(request)}"


def _passphrase(request: WireRequest, keys: SigningKeys) -> str | None:
    version = request.headers.get("kc-api-key-version", _CLEAR_VERSION)
    if version == _CLEAR_VERSION or keys.passphrase is None:
        return keys.passphrase
    if version in _KEYED_VERSIONS:
        return hmac_base64(keys.api_secret, keys.passphrase)
    return None


def _data(answer: Any) -> Any:
    envelope = object_in(answer)
    if envelope.get("code") != _SUCCESS[0]:
        raise NotTheExchange
    return envelope.get("data")


def _order_rows(data: Any) -> list[dict[str, Any]]:
    if isinstance(data, list):
        return objects_in(data)
    told = object_in(data)
    if "symbols" in told:
        # Only says for which markets the newer engine was asked next.
        texts_in(told, "symbols")
        return []
    # A page without a single order has null for its items.
    return [] if told.get("items", data) is None else objects_in(told, "items")
