"""Bybit: time, key, window and the raw query or body are signed; a refusal has status 200.

Neither method nor path is part of the signed text.

Source: https://bybit-exchange.github.io/docs/v5/guide and .../v5/error
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import Dialect, NotTheExchange
from backend.app.exchanges.dialects.open_orders import OrderForm, open_orders, pages
from backend.app.exchanges.dialects.paths import PathRights
from backend.app.exchanges.dialects.reading import (
    amount_in,
    answer_at,
    balances,
    known,
    known_in,
    object_in,
    objects_in,
    optional_amount_in,
    optional_text_in,
    text_in,
    texts_in,
    whole_in,
)
from backend.app.exchanges.dialects.refusing import json_answer, parsed_object, raw_code
from backend.app.exchanges.dialects.signing import (
    body_text,
    hmac_hex,
    in_window,
    moment_ms,
    named_key,
    same,
    whole_number,
    with_headers,
)
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import Right, SigningKeys, WireAnswer, WireRequest

_RECEIVE_WINDOW_MS = 5_000
# A bound of the house: Bybit documents none, and a wide window lets requests be replayed.
_RECEIVE_WINDOW_MAX_MS = 60_000
# The end is excluded: a request exactly one second ahead is refused.
_AHEAD_MAX_MS = 999

_REASONS = {
    "10000": Reason.EXCHANGE_UNAVAILABLE,
    "10002": Reason.CLOCK_SKEW,
    "10003": Reason.INVALID_KEY,
    "10004": Reason.BAD_SIGNATURE,
    "10005": Reason.PERMISSION_MISSING,
    "10006": Reason.RATE_LIMITED,
    "10007": Reason.AMBIGUOUS_CREDENTIALS,
    "10008": Reason.ACCOUNT_RESTRICTED,
    # A ban of the address says nothing of the key, unlike an address the key is not bound to.
    "10009": Reason.RATE_LIMITED,
    "10010": Reason.IP_NOT_ALLOWED,
    "10016": Reason.EXCHANGE_UNAVAILABLE,
    "10018": Reason.RATE_LIMITED,
    "10019": Reason.EXCHANGE_UNAVAILABLE,
    "10024": Reason.REGION_RESTRICTED,
    "10027": Reason.ACCOUNT_RESTRICTED,
    "10028": Reason.PERMISSION_MISSING,
    "10429": Reason.RATE_LIMITED,
    "33004": Reason.KEY_EXPIRED,
    "100028": Reason.PERMISSION_MISSING,
}

_INVALID = (10003, "API key is invalid.")
_SPOKEN: Mapping[Reason, tuple[int, str]] = {
    Reason.INVALID_KEY: _INVALID,
    # The real text goes on with the signed string; ours does not repeat a key.
    Reason.BAD_SIGNATURE: (10004, "Error sign, please check your signature generation algorithm."),
    Reason.WRONG_PASSPHRASE: (10007, "User authentication failed."),
    Reason.KEY_EXPIRED: (33004, "Your api key has expired."),
    Reason.IP_NOT_ALLOWED: (10010, "Unmatched IP, please check your API key's bound IP addresses."),
    Reason.PERMISSION_MISSING: (10005, "Permission denied, please check your API key permissions."),
    Reason.ACCOUNT_RESTRICTED: (10027, "Transactions are banned."),
    Reason.REGION_RESTRICTED: (10024, "Compliance rules triggered."),
    # A key of another environment is one this environment does not know.
    Reason.WRONG_ENVIRONMENT: _INVALID,
    Reason.AMBIGUOUS_CREDENTIALS: (10007, "User authentication failed."),
    Reason.CLOCK_SKEW: (
        10002,
        "invalid request, please check your server timestamp or recv_window param.",
    ),
    Reason.RATE_LIMITED: (10006, "Too many visits. Exceeded the API Rate Limit."),
    Reason.EXCHANGE_UNAVAILABLE: (10016, "Server error."),
    Reason.UNKNOWN: (10001, "Request parameter error."),
}

_RIGHTS = PathRights(
    {
        Right.PUBLIC: (
            "GET /v5/market/time",
            "GET /v5/market/kline",
            "GET /v5/market/instruments-info",
            "GET /v5/market/orderbook",
            "GET /v5/market/tickers",
            "GET /v5/market/recent-trade",
            "GET /v5/market/price-limit",
            "GET /v5/market/fee-group-info",
            "GET /v5/system/status",
            "GET /v5/announcements/index",
        ),
        Right.KEY: ("GET /v5/user/query-api",),
        Right.READ: (
            "GET /v5/account/info",
            "GET /v5/account/wallet-balance",
            "GET /v5/account/fee-rate",
            "GET /v5/account/transaction-log",
            "GET /v5/account/withdrawal",
            "GET /v5/account/instruments-info",
            "GET /v5/asset/coin/query-info",
            "GET /v5/asset/transfer/query-asset-info",
            "GET /v5/asset/transfer/query-account-coins-balance",
            "GET /v5/asset/transfer/query-account-coin-balance",
            "GET /v5/asset/transfer/query-inter-transfer-list",
            "GET /v5/asset/deposit/query-record",
            "GET /v5/asset/deposit/query-address",
            "GET /v5/asset/withdraw/query-record",
            "GET /v5/asset/withdraw/withdrawable-amount",
            "GET /v5/order/realtime",
            "GET /v5/order/history",
            "GET /v5/order/spot-borrow-check",
            "GET /v5/execution/list",
        ),
        Right.TRADE: (
            "POST /v5/order/create",
            "POST /v5/order/pre-check",
            "POST /v5/order/amend",
            "POST /v5/order/cancel",
            "POST /v5/order/cancel-all",
            "POST /v5/order/create-batch",
            "POST /v5/order/amend-batch",
            "POST /v5/order/cancel-batch",
        ),
        Right.TRANSFER: (
            "POST /v5/asset/transfer/inter-transfer",
            "POST /v5/asset/transfer/universal-transfer",
            "POST /v5/asset/transfer/save-transfer-sub-member",
            "POST /v5/asset/deposit/deposit-to-account",
        ),
        Right.WITHDRAW: (
            "POST /v5/asset/withdraw/create",
            "POST /v5/asset/withdraw/cancel",
        ),
    }
)

_ORDER = OrderForm(
    order_id="orderId",
    client_order_id="orderLinkId",
    instrument="symbol",
    side="side",
    kind="orderType",
    price="price",
    amount="qty",
    filled="cumExecQty",
    created_at="createdTime",
)


class BybitDialect(Dialect):
    """How Bybit speaks."""

    exchange: ClassVar[str] = "bybit"

    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key a request names, or None where it names none."""
        return named_key(request.headers.get("x-bapi-api-key"))

    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Return the request with the X-BAPI headers; a window it asks for is kept."""
        window = request.headers.get("x-bapi-recv-window", str(_RECEIVE_WINDOW_MS))
        return with_headers(
            request,
            x_bapi_api_key=keys.api_key,
            x_bapi_timestamp=str(now_ms),
            x_bapi_recv_window=window,
            x_bapi_sign=_signature(request, keys, str(now_ms), window),
            content_type="application/json",
        )

    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Judge the time, then the signature, and let nothing pass that it does not cover."""
        time = request.headers.get("x-bapi-timestamp", "")
        window = request.headers.get("x-bapi-recv-window", "")
        window_ms = whole_number(window) if window else _RECEIVE_WINDOW_MS
        if window_ms is None or window_ms > _RECEIVE_WINDOW_MAX_MS:
            return Reason.CLOCK_SKEW
        if not in_window(whole_number(time), now_ms, behind_ms=window_ms, ahead_ms=_AHEAD_MAX_MS):
            return Reason.CLOCK_SKEW
        unsigned = request.query if _is_post(request) else body_text(request)
        right_key = same(self.api_key_in(request), keys.api_key)
        given = request.headers.get("x-bapi-sign")
        right_signature = same(given, _signature(request, keys, time, window))
        return None if right_key and right_signature and not unsigned else Reason.BAD_SIGNATURE

    def right_needed(self, request: WireRequest) -> Right:
        """Return what a key must be allowed to do for this method and path."""
        return _RIGHTS.of(request)

    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read a refusal by `retCode`; a bare 401 is Bybit's word for a key it cannot use."""
        answer = parsed_object(body) or {}
        code = raw_code(answer.get("retCode"))
        if code is None and http_status == HTTPStatus.UNAUTHORIZED and not body.strip():
            return Refusal(Reason.AMBIGUOUS_CREDENTIALS)
        if code is None or code == "0":
            return None
        return Refusal(_REASONS.get(code, Reason.UNKNOWN), code)

    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Return Bybit's answer; its time is the one the request named."""
        code, words = _SPOKEN[reason]
        return json_answer(
            HTTPStatus.OK,
            {
                "retCode": code,
                "retMsg": words,
                "result": {},
                "retExtInfo": {},
                "time": whole_number(request.headers.get("x-bapi-timestamp")) or 0,
            },
        )

    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read `GET /v5/account/wallet-balance`."""
        accounts = objects_in(_result(answer_at(answers, 0)), "list")
        return balances(
            _balance(row) for account in accounts for row in objects_in(account, "coin")
        )

    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read the pages of `GET /v5/order/realtime`."""
        return open_orders(
            _ORDER.read(row)
            for answer in pages(answers)
            for row in objects_in(_result(answer), "list")
        )

    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read `GET /v5/user/query-api`, which any key may call."""
        if answer_at(answers, 0) is None:
            return KeyInformation()
        told = _result(answers[0])
        rights, addresses = object_in(told, "permissions"), texts_in(told, "ips")
        wallet = texts_in(rights, "Wallet")
        writes, trades = whole_in(told, "readOnly") == 0, "SpotTrade" in texts_in(rights, "Spot")
        bound = tuple(address for address in addresses if address != "*")
        return KeyInformation(
            can_read=Known.YES,
            can_trade=known(writes and trades),
            can_withdraw=known("Withdraw" in wallet),
            can_transfer=known("AccountTransfer" in wallet or "SubMemberTransfer" in wallet),
            ip_restricted=known(bool(bound)),
            ip_addresses=bound,
            expires_at=_end(told),
            is_sub_account=_opposite(known_in(told, "isMaster")),
            owner_uid=optional_text_in(told, "userID"),
        )


def _is_post(request: WireRequest) -> bool:
    return request.method.upper() == "POST"


def _signature(request: WireRequest, keys: SigningKeys, time: str, window: str) -> str:
    signed = body_text(request) if _is_post(request) else request.query
    return hmac_hex(keys.api_secret, f"{time}{keys.api_key}{window}{signed}")


def _result(answer: Any) -> dict[str, Any]:
    if whole_in(object_in(answer), "retCode") != 0:
        raise NotTheExchange
    return object_in(answer, "result")


def _balance(row: dict[str, Any]) -> Balance:
    held, locked = amount_in(row, "walletBalance"), optional_amount_in(row, "locked")
    if locked > held:
        raise NotTheExchange
    return Balance(text_in(row, "coin"), held - locked, locked)


def _end(told: dict[str, Any]) -> datetime | None:
    # Meaningful only for keys without bound addresses, or after a change of password; otherwise
    # it is absent, the Unix epoch, or comes with a negative number of days.
    ends_ms = moment_ms(optional_text_in(told, "expiredAt"))
    days_left = told.get("deadlineDay")
    if not ends_ms or ends_ms < 0 or (days_left is not None and whole_in(told, "deadlineDay") < 0):
        return None
    return datetime.fromtimestamp(ends_ms // 1000, UTC)


def _opposite(statement: Known) -> Known:
    return {Known.YES: Known.NO, Known.NO: Known.YES}.get(statement, Known.UNKNOWN)
