"""Bitget: time, method, path with the decoded query and body are signed; rights are short codes.

Source: Bitget API documentation, "Signature" and "RestAPI error code"; CCXT 4.5.90.
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
    list_in,
    object_in,
    objects_in,
    optional_amount_in,
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

_WINDOW_MS = 30_000
_SUCCESS = "00000"

# 40001 to 40003 and 40011 (a header is missing) are not listed: they say something of the
# request, not of the key.
_REASONS: Mapping[str, Reason] = {
    "40004": Reason.CLOCK_SKEW,
    "40005": Reason.CLOCK_SKEW,
    "40006": Reason.INVALID_KEY,
    "40008": Reason.CLOCK_SKEW,
    "40009": Reason.BAD_SIGNATURE,
    "40010": Reason.BAD_SIGNATURE,
    "40012": Reason.WRONG_PASSPHRASE,
    "40014": Reason.PERMISSION_MISSING,
    "40018": Reason.IP_NOT_ALLOWED,
    "40031": Reason.ACCOUNT_RESTRICTED,
    "40037": Reason.INVALID_KEY,
    "40085": Reason.PERMISSION_MISSING,
    # Seen in CCXT's issues 25004, 25502 and 26125: a demo key on live, or the reverse.
    "40099": Reason.WRONG_ENVIRONMENT,
    "40200": Reason.EXCHANGE_UNAVAILABLE,
    "40604": Reason.EXCHANGE_UNAVAILABLE,
    "429": Reason.RATE_LIMITED,
    "500": Reason.EXCHANGE_UNAVAILABLE,
    "50010": Reason.ACCOUNT_RESTRICTED,
}

_NO_KEY = (400, "40037", "Apikey does not exist")
_REFUSALS: Mapping[Reason, tuple[int, str, str]] = {
    Reason.INVALID_KEY: _NO_KEY,
    Reason.KEY_EXPIRED: _NO_KEY,
    Reason.AMBIGUOUS_CREDENTIALS: _NO_KEY,
    Reason.BAD_SIGNATURE: (400, "40009", "sign signature error"),
    Reason.WRONG_PASSPHRASE: (400, "40012", "apikey/password is incorrect"),
    Reason.IP_NOT_ALLOWED: (400, "40018", "invalid ip,current request ip {address}"),
    Reason.PERMISSION_MISSING: (400, "40014", "Incorrect permissions"),
    Reason.ACCOUNT_RESTRICTED: (
        400,
        "40031",
        "The account has been cancelled and cannot be used again",
    ),
    # No code of its own is known; this one says nothing of the key.
    Reason.REGION_RESTRICTED: (403, "403", "Access prohibited"),
    Reason.WRONG_ENVIRONMENT: (400, "40099", "exchange environment is incorrect"),
    Reason.CLOCK_SKEW: (400, "40008", "Request timestamp expired"),
    Reason.RATE_LIMITED: (429, "429", "Too many requests"),
    Reason.EXCHANGE_UNAVAILABLE: (503, "40200", "Server upgrade, please try again later"),
    Reason.UNKNOWN: (400, "40017", "Parameter verification failed"),
}

# The codes as two independent projects read them. The last letter tells read from write.
_READ = ("stor", "stow")
_TRADE = ("stow",)
_TRANSFER = ("wtow",)
_WITHDRAW = ("wwow",)
_DOCUMENTED = ("wtor", "coor", "coow", "cpor", "cpow", "smor", "smow")
_READ_ENDING = "r"

_RIGHTS = PathRights(
    {
        Right.PUBLIC: (
            "GET /api/v2/public/time",
            "GET /api/v2/public/annoucements",
            "GET /api/v2/spot/public/coins",
            "GET /api/v2/spot/public/symbols",
            "GET /api/v2/spot/market/tickers",
            "GET /api/v2/spot/market/orderbook",
            "GET /api/v2/spot/market/merge-depth",
            "GET /api/v2/spot/market/candles",
            "GET /api/v2/spot/market/history-candles",
            "GET /api/v2/spot/market/fills",
            "GET /api/v2/spot/market/fills-history",
            "GET /api/v2/spot/market/vip-fee-rate",
            "GET /api/v2/margin/currencies",
            "GET /api/v2/mix/market/contracts",
            "GET /api/v3/market/instruments",
            "GET /api/v3/market/tickers",
            "GET /api/v3/market/orderbook",
            "GET /api/v3/market/candles",
            "GET /api/v3/market/history-candles",
            "GET /api/v3/market/fills",
        ),
        Right.KEY: (
            "GET /api/v2/spot/account/info",
            "GET /api/v3/account/info",
        ),
        Right.READ: (
            "GET /api/v2/account/all-account-balance",
            "GET /api/v2/account/funding-assets",
            "GET /api/v2/common/trade-rate",
            "GET /api/v2/spot/account/assets",
            "GET /api/v2/spot/account/bills",
            "GET /api/v2/spot/account/subaccount-assets",
            "GET /api/v2/spot/account/transferRecords",
            "GET /api/v2/spot/account/upgrade-status",
            "GET /api/v2/spot/trade/orderInfo",
            "GET /api/v2/spot/trade/unfilled-orders",
            "GET /api/v2/spot/trade/history-orders",
            "GET /api/v2/spot/trade/fills",
            "GET /api/v2/spot/trade/current-plan-order",
            "GET /api/v2/spot/trade/history-plan-order",
            "GET /api/v2/spot/wallet/deposit-address",
            "GET /api/v2/spot/wallet/deposit-records",
            "GET /api/v2/spot/wallet/withdrawal-records",
            "GET /api/v3/account/assets",
            "GET /api/v3/account/fee-rate",
            "GET /api/v3/account/funding-assets",
            "GET /api/v3/account/settings",
            "GET /api/v3/trade/order-info",
            "GET /api/v3/trade/unfilled-orders",
            "GET /api/v3/trade/history-orders",
            "GET /api/v3/trade/fills",
        ),
        Right.TRADE: (
            "POST /api/v2/spot/trade/place-order",
            "POST /api/v2/spot/trade/cancel-order",
            "POST /api/v2/spot/trade/cancel-replace-order",
            "POST /api/v2/spot/trade/batch-orders",
            "POST /api/v2/spot/trade/batch-cancel-order",
            "POST /api/v2/spot/trade/cancel-symbol-order",
            "POST /api/v2/spot/trade/place-plan-order",
            "POST /api/v2/spot/trade/modify-plan-order",
            "POST /api/v2/spot/trade/cancel-plan-order",
            "POST /api/v2/spot/trade/batch-cancel-plan-order",
            "POST /api/v3/trade/place-order",
            "POST /api/v3/trade/modify-order",
            "POST /api/v3/trade/cancel-order",
            "POST /api/v3/trade/place-batch",
            "POST /api/v3/trade/batch-modify-order",
            "POST /api/v3/trade/cancel-batch",
            "POST /api/v3/trade/cancel-symbol-order",
            "POST /api/v3/trade/countdown-cancel-all",
        ),
        Right.TRANSFER: (
            "POST /api/v2/spot/wallet/transfer",
            "POST /api/v2/spot/wallet/subaccount-transfer",
            "POST /api/v2/spot/wallet/modify-deposit-account",
            "POST /api/v3/account/transfer",
            "POST /api/v3/account/sub-transfer",
            "POST /api/v3/account/sub-master-transfer",
            "POST /api/v3/account/deposit-account",
        ),
        Right.WITHDRAW: (
            "POST /api/v2/spot/wallet/withdrawal",
            "POST /api/v2/spot/wallet/cancel-withdrawal",
            "POST /api/v3/account/withdrawal",
            "POST /api/v3/account/cancel-withdrawal",
        ),
    }
)

# In this list alone `priceAvg` is the limit price.
_ORDER = OrderForm(
    order_id="orderId",
    client_order_id="clientOid",
    instrument="symbol",
    side="side",
    kind="orderType",
    price="priceAvg",
    amount="size",
    filled="baseVolume",
    created_at="cTime",
)


class BitgetDialect(Dialect):
    """How Bitget speaks."""

    exchange: ClassVar[str] = "bitget"

    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key of the header ACCESS-KEY."""
        return named_key(request.headers.get("access-key"))

    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Return the request with its query sorted and the four ACCESS headers."""
        ordered = replace(request, query=_sorted_by_name(request.query))
        timestamp = str(now_ms)
        return with_headers(
            ordered,
            access_key=keys.api_key,
            access_passphrase=keys.passphrase or "",
            access_timestamp=timestamp,
            access_sign=_signature(ordered, keys, timestamp),
            content_type="application/json",
        )

    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Check the time, then the passphrase, then the signature over the query as sent."""
        timestamp = request.headers.get("access-timestamp", "")
        if not in_window(whole_number(timestamp), now_ms, _WINDOW_MS, _WINDOW_MS):
            return Reason.CLOCK_SKEW
        if not same(request.headers.get("access-passphrase"), keys.passphrase):
            return Reason.WRONG_PASSPHRASE
        right_key = same(self.api_key_in(request), keys.api_key)
        expected = _signature(request, keys, timestamp)
        right_signature = same(request.headers.get("access-sign"), expected)
        return None if right_key and right_signature else Reason.BAD_SIGNATURE

    def right_needed(self, request: WireRequest) -> Right:
        """Look the path up among the spot paths, classic and unified."""
        return _RIGHTS.of(request)

    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read `code`; five zeros are a success."""
        answer = parsed_object(body) or {}
        code = raw_code(answer.get("code"))
        if code is None or code == _SUCCESS:
            return None
        return refusal(_REASONS.get(code, Reason.UNKNOWN), code, text_of(answer.get("msg")))

    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Say a reason as Bitget does. The time in the answer is the one the request claims."""
        status, code, text = _REFUSALS[reason]
        answer = {
            "code": code,
            "msg": text.replace("{address}", caller_address),
            "requestTime": whole_number(request.headers.get("access-timestamp")) or 0,
            "data": None,
        }
        return json_answer(status, answer)

    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read `/api/v2/spot/account/assets`: what is frozen and what is locked is both locked."""
        return balances(
            Balance(
                text_in(row, "coin"),
                amount_in(row, "available"),
                optional_amount_in(row, "frozen") + optional_amount_in(row, "locked"),
            )
            for row in objects_in(_data(answer_at(answers, 0)))
        )

    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read the pages of `/api/v2/spot/trade/unfilled-orders`."""
        return open_orders(
            _ORDER.read(row) for answer in pages(answers) for row in objects_in(_data(answer))
        )

    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read `/api/v2/spot/account/info`. Bitget tells no end date."""
        answer = answer_at(answers, 0)
        if answer is None:
            return KeyInformation()
        data = object_in(_data(answer))
        list_in(data, "authorities")
        held = texts_in(data, "authorities")
        documented = (
            *_READ,
            *_TRANSFER,
            *_WITHDRAW,
            *_DOCUMENTED,
            # Whatever it reads, it cannot trade or move.
            *(code for code in held if code.endswith(_READ_ENDING)),
        )
        told, addresses = "ips" in data, words_in(data, "ips")
        return KeyInformation(
            can_read=granted(held, _READ, documented),
            can_trade=granted(held, _TRADE, documented),
            can_withdraw=granted(held, _WITHDRAW, documented),
            can_transfer=granted(held, _TRANSFER, documented),
            ip_restricted=known(bool(addresses)) if told else Known.UNKNOWN,
            ip_addresses=addresses if told else None,
            is_sub_account=_is_sub_account(data),
            owner_uid=optional_text_in(data, "userId"),
        )


def _signature(request: WireRequest, keys: SigningKeys, timestamp: str) -> str:
    query = f"?{decoded(request.query)}" if request.query else ""
    text = f"{timestamp}{request.method.upper()}{request.path}{query}{body_text(request)}"
    return hmac_base64(keys.api_secret, text)


def _sorted_by_name(query: str) -> str:
    parts = (part for part in query.split("&") if part)
    return "&".join(sorted(parts, key=lambda part: decoded(part.partition("=")[0])))


def _data(answer: Any) -> Any:
    envelope = object_in(answer)
    if envelope.get("code") != _SUCCESS:
        raise NotTheExchange
    return envelope.get("data")


def _is_sub_account(data: dict[str, Any]) -> Known:
    user, parent = optional_text_in(data, "userId"), optional_text_in(data, "parentId")
    if user is None or parent is None or parent == "0":
        return Known.UNKNOWN
    return known(user != parent)
