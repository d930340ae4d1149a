"""Gate: seconds, a hashed body, and a decoded query signed with SHA-512; refusals are labels.

Source: Gate API v4 documentation, "Authentication" and "Error handling"; CCXT 4.5.90.
"""

import re
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
    object_in,
    objects_in,
    optional_text_in,
    text_in,
    texts_in,
    whole_in,
)
from backend.app.exchanges.dialects.refusing import (
    json_answer,
    parsed_object,
    raw_code,
    refusal,
    text_of,
)
from backend.app.exchanges.dialects.signing import (
    decoded,
    hmac_hex,
    in_window,
    named_key,
    same,
    sha512_hex,
    whole_number,
    with_headers,
)
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import Right, SigningKeys, WireAnswer, WireRequest

_WINDOW_MS = 60_000

# MISSING_REQUIRED_HEADER is not listed: it says something of the request, not of the key.
_REASONS: Mapping[str, Reason] = {
    "INVALID_KEY": Reason.INVALID_KEY,
    "INVALID_SIGNATURE": Reason.BAD_SIGNATURE,
    "INVALID_CREDENTIALS": Reason.AMBIGUOUS_CREDENTIALS,
    "AUTHENTICATION_FAILED": Reason.AMBIGUOUS_CREDENTIALS,
    "IP_FORBIDDEN": Reason.IP_NOT_ALLOWED,
    "FORBIDDEN": Reason.PERMISSION_MISSING,
    "READ_ONLY": Reason.PERMISSION_MISSING,
    "ACCOUNT_LOCKED": Reason.ACCOUNT_RESTRICTED,
    "SUB_ACCOUNT_LOCKED": Reason.ACCOUNT_RESTRICTED,
    "REQUEST_EXPIRED": Reason.CLOCK_SKEW,
    "TOO_MANY_REQUESTS": Reason.RATE_LIMITED,
    "TOO_FAST": Reason.RATE_LIMITED,
    "TOO_BUSY": Reason.EXCHANGE_UNAVAILABLE,
    "INTERNAL": Reason.EXCHANGE_UNAVAILABLE,
    "SERVER_ERROR": Reason.EXCHANGE_UNAVAILABLE,
}
# One label for three things; only the text tells them apart.
_FORBIDDEN_BY_TEXT = (
    (Reason.IP_NOT_ALLOWED, re.compile(r"\bip\b.*\bwhite ?list|\bwhite ?list.*\bip\b")),
    (Reason.REGION_RESTRICTED, re.compile(r"\b(region|country|jurisdiction)\b")),
)

_NO_KEY = (401, "INVALID_KEY", "Invalid key provided")
_BAD_SIGNATURE = (401, "INVALID_SIGNATURE", "Signature mismatch")
_REFUSALS: Mapping[Reason, tuple[int, str, str]] = {
    Reason.INVALID_KEY: _NO_KEY,
    Reason.KEY_EXPIRED: _NO_KEY,
    Reason.WRONG_ENVIRONMENT: _NO_KEY,
    Reason.BAD_SIGNATURE: _BAD_SIGNATURE,
    # Gate keys have no passphrase.
    Reason.WRONG_PASSPHRASE: _BAD_SIGNATURE,
    Reason.AMBIGUOUS_CREDENTIALS: (401, "INVALID_CREDENTIALS", "Invalid credentials"),
    Reason.IP_NOT_ALLOWED: (403, "FORBIDDEN", "Request IP not in whitelist: {address}"),
    Reason.PERMISSION_MISSING: (403, "FORBIDDEN", "API key has no permission for this request"),
    Reason.ACCOUNT_RESTRICTED: (403, "SUB_ACCOUNT_LOCKED", "Sub-account is locked"),
    Reason.REGION_RESTRICTED: (403, "FORBIDDEN", "Not available in your region"),
    Reason.CLOCK_SKEW: (403, "REQUEST_EXPIRED", "Request Expired"),
    Reason.RATE_LIMITED: (429, "TOO_MANY_REQUESTS", "Request Rate Limit Exceeded"),
    Reason.EXCHANGE_UNAVAILABLE: (503, "TOO_BUSY", "Server is busy, please try again later"),
    Reason.UNKNOWN: (400, "BAD_REQUEST", "Bad request"),
}

# Whether writing to the wallet includes withdrawing is not documented, so it stays unknown.
_PERMISSIONS = (
    *("spot", "margin", "futures", "delivery", "options"),
    *("wallet", "account", "unified", "earn"),
)
_STATE_NORMAL = 1
# A shorter prefix could start a stranger's key.
_PREFIX_MIN_CHARACTERS = 4

_RIGHTS = PathRights(
    {
        Right.PUBLIC: (
            "GET /api/v4/spot/time",
            "GET /api/v4/spot/currencies",
            "GET /api/v4/spot/currencies/{currency}",
            "GET /api/v4/spot/currency_pairs",
            "GET /api/v4/spot/currency_pairs/{pair}",
            "GET /api/v4/spot/tickers",
            "GET /api/v4/spot/order_book",
            "GET /api/v4/spot/trades",
            "GET /api/v4/spot/candlesticks",
            "GET /api/v4/margin/currency_pairs",
            "GET /api/v4/wallet/currency_chains",
            "GET /api/v4/futures/{settle}/contracts",
            "GET /api/v4/delivery/{settle}/contracts",
            "GET /api/v4/options/underlyings",
            "GET /api/v4/options/contracts",
        ),
        Right.KEY: (
            "GET /api/v4/account/detail",
            "GET /api/v4/account/main_keys",
        ),
        Right.READ: (
            "GET /api/v4/account/rate_limit",
            "GET /api/v4/spot/accounts",
            "GET /api/v4/spot/account_book",
            "GET /api/v4/spot/fee",
            "GET /api/v4/spot/batch_fee",
            "GET /api/v4/spot/open_orders",
            "GET /api/v4/spot/orders",
            "GET /api/v4/spot/orders/{order}",
            "GET /api/v4/spot/my_trades",
            "GET /api/v4/spot/price_orders",
            "GET /api/v4/spot/price_orders/{order}",
            "GET /api/v4/unified/accounts",
            "GET /api/v4/unified/unified_mode",
            "GET /api/v4/wallet/deposit_address",
            "GET /api/v4/wallet/deposits",
            "GET /api/v4/wallet/withdrawals",
            "GET /api/v4/wallet/withdraw_status",
            "GET /api/v4/wallet/fee",
            "GET /api/v4/wallet/total_balance",
            "GET /api/v4/wallet/sub_account_balances",
            "GET /api/v4/wallet/sub_account_transfers",
            "GET /api/v4/wallet/saved_address",
        ),
        Right.TRADE: (
            "POST /api/v4/spot/orders",
            "POST /api/v4/spot/batch_orders",
            "POST /api/v4/spot/cancel_batch_orders",
            "POST /api/v4/spot/amend_batch_orders",
            "POST /api/v4/spot/countdown_cancel_all",
            "POST /api/v4/spot/price_orders",
            "PATCH /api/v4/spot/orders/{order}",
            "DELETE /api/v4/spot/orders",
            "DELETE /api/v4/spot/orders/{order}",
            "DELETE /api/v4/spot/price_orders",
            "DELETE /api/v4/spot/price_orders/{order}",
        ),
        Right.TRANSFER: (
            "POST /api/v4/wallet/transfers",
            "POST /api/v4/wallet/sub_account_transfers",
            "POST /api/v4/wallet/sub_account_to_sub_account",
        ),
        Right.WITHDRAW: (
            "POST /api/v4/withdrawals",
            "POST /api/v4/withdrawals/push",
            "DELETE /api/v4/withdrawals/{withdrawal}",
        ),
    }
)

_ORDER = OrderForm(
    order_id="id",
    client_order_id="client",
    instrument="currency_pair",
    side="side",
    kind="type",
    price="price",
    amount="amount",
    filled="filled",
    created_at="create_time_ms",
    separator="_",
)
_OWN_ID = "t-"


class GateDialect(Dialect):
    """How Gate speaks."""

    exchange: ClassVar[str] = "gate"

    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key of the header KEY."""
        return named_key(request.headers.get("key"))

    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Return the request with the headers KEY, SIGN and Timestamp."""
        timestamp = str(now_ms // 1000)
        return with_headers(
            request,
            key=keys.api_key,
            timestamp=timestamp,
            sign=_signature(request, keys, timestamp),
            content_type="application/json",
        )

    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Check the time, then the signature over the query as it was sent."""
        timestamp = request.headers.get("timestamp", "")
        sent_s = whole_number(timestamp)
        # Both in whole seconds, or a request a second old would seem older than it is.
        sent_ms, now_whole_ms = sent_s and sent_s * 1000, now_ms // 1000 * 1000
        if not in_window(sent_ms, now_whole_ms, behind_ms=_WINDOW_MS, ahead_ms=_WINDOW_MS):
            return Reason.CLOCK_SKEW
        right_key = same(self.api_key_in(request), keys.api_key)
        expected = _signature(request, keys, timestamp)
        right_signature = same(request.headers.get("sign"), expected)
        return None if right_key and right_signature else Reason.BAD_SIGNATURE

    def right_needed(self, request: WireRequest) -> Right:
        """Look the path up among the spot paths."""
        return _RIGHTS.of(request)

    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read `label`; FORBIDDEN needs its text too."""
        answer = parsed_object(body) or {}
        label = raw_code(answer.get("label"))
        if label is None:
            return None
        text = text_of(answer.get("message"))
        reason = _REASONS.get(label, Reason.UNKNOWN)
        if label == "FORBIDDEN":
            told = (told for told, pattern in _FORBIDDEN_BY_TEXT if pattern.search(text.lower()))
            reason = next(told, reason)
        return refusal(reason, label, text)

    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Say a reason as Gate does; no label is known for expiry and environment."""
        status, label, text = _REFUSALS[reason]
        message = text.replace("{address}", caller_address)
        return json_answer(status, {"label": label, "message": message})

    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read `/api/v4/spot/accounts`, a bare list."""
        return balances(
            Balance(text_in(row, "currency"), amount_in(row, "available"), amount_in(row, "locked"))
            for row in objects_in(answer_at(answers, 0))
        )

    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read the pages of `/api/v4/spot/open_orders`, each a list of pairs with their orders."""
        return open_orders(
            _ORDER.read(_told_order(row))
            for answer in pages(answers)
            for pair in objects_in(answer)
            for row in objects_in(pair, "orders")
        )

    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read `/api/v4/account/detail`, and the rights from `/api/v4/account/main_keys`.

        Only a main account may list its keys; where the call was refused, or none of the masked
        keys is this one, the rights stay unknown. Gate tells no end date.
        """
        detail = answer_at(answers, 0)
        about = KeyInformation() if detail is None else _about(object_in(detail))
        row = _row_of(answer_at(answers, 1), api_key)
        return about if row is None else _with_rights(about, row)


def _signature(request: WireRequest, keys: SigningKeys, timestamp: str) -> str:
    parts = (
        request.method.upper(),
        request.path,
        decoded(request.query),
        sha512_hex(request.body),
        timestamp,
    )
    return hmac_hex(keys.api_secret, "\n".join(parts), "sha512")


def _about(detail: dict[str, Any]) -> KeyInformation:
    owner = text_in(detail, "user_id")
    told, addresses = "ip_whitelist" in detail, texts_in(detail, "ip_whitelist")
    return KeyInformation(
        ip_restricted=known(bool(addresses)) if told else Known.UNKNOWN,
        ip_addresses=addresses if told else None,
        owner_uid=owner,
    )


def _row_of(listed: Any, api_key: str) -> dict[str, Any] | None:
    # A single key was seen as a bare object.
    rows = objects_in([listed] if isinstance(listed, dict) else listed) if listed else []
    found = [row for row in rows if _masks(text_in(row, "key"), api_key)]
    return found[0] if len(found) == 1 else None


def _masks(masked: str, api_key: str) -> bool:
    prefix = masked.partition("*")[0]
    return len(prefix) >= _PREFIX_MIN_CHARACTERS and api_key.startswith(prefix)


def _with_rights(about: KeyInformation, row: dict[str, Any]) -> KeyInformation:
    about = replace(about, is_sub_account=Known.NO)
    if whole_in(row, "state") != _STATE_NORMAL:
        return about
    read_only: dict[str, bool] = {}
    for permission in objects_in(row, "perms"):
        read_only[text_in(permission, "name")] = permission.get("read_only") is not False
    writable = [name for name, only_reads in read_only.items() if not only_reads]
    can_transfer = granted(writable, ("wallet",), _PERMISSIONS)
    return replace(
        about,
        can_read=granted(read_only, ("spot",), _PERMISSIONS),
        can_trade=granted(writable, ("spot",), _PERMISSIONS),
        can_transfer=can_transfer,
        can_withdraw=Known.NO if can_transfer is Known.NO else Known.UNKNOWN,
    )


def _told_order(row: dict[str, Any]) -> dict[str, Any]:
    amount, left = amount_in(row, "amount"), amount_in(row, "left")
    if left > amount:
        raise NotTheExchange
    # Without its prefix, the text says by which door the order came, and is nobody's id.
    text = optional_text_in(row, "text") or ""
    own = text if text.startswith(_OWN_ID) else None
    return {**row, "filled": amount - left, "client": own}
