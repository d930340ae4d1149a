"""What each seeded account of the sandbox is refused for, exchange by exchange."""

from dataclasses import replace
from typing import Final

from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.wire import SigningKeys
from backend.app.sandbox.accounts import EXCHANGES
from backend.tests.support.sandbox import RunningSandbox

WORKING: Final = (
    "full",
    "second",
    "read_only",
    "withdrawal_enabled",
    "transfer_enabled",
    "bound_here",
    "expiring_soon",
    "sub_account",
    "empty",
)
REFUSED: Final = {
    "bound_elsewhere": Reason.IP_NOT_ALLOWED,
    "expired": Reason.KEY_EXPIRED,
    "frozen": Reason.ACCOUNT_RESTRICTED,
    "no_read": Reason.PERMISSION_MISSING,
    "region_restricted": Reason.REGION_RESTRICTED,
    "wrong_environment": Reason.WRONG_ENVIRONMENT,
    "skewed_clock": Reason.CLOCK_SKEW,
    "throttled": Reason.RATE_LIMITED,
    "maintenance": Reason.EXCHANGE_UNAVAILABLE,
    "a key nobody has": Reason.INVALID_KEY,
    "a wrong secret": Reason.BAD_SIGNATURE,
    "a wrong passphrase": Reason.WRONG_PASSPHRASE,
}
# Where an exchange has no words for a reason, what it says instead.
TOLD_OTHERWISE: Final[dict[tuple[str, str], Reason]] = {
    ("binance", "bound_elsewhere"): Reason.AMBIGUOUS_CREDENTIALS,
    ("binance", "expired"): Reason.AMBIGUOUS_CREDENTIALS,
    ("binance", "no_read"): Reason.AMBIGUOUS_CREDENTIALS,
    ("binance", "a key nobody has"): Reason.AMBIGUOUS_CREDENTIALS,
    ("binance", "wrong_environment"): Reason.INVALID_KEY,
    ("okx", "expired"): Reason.INVALID_KEY,
    ("bybit", "wrong_environment"): Reason.INVALID_KEY,
    ("htx", "frozen"): Reason.PERMISSION_MISSING,
    ("htx", "region_restricted"): Reason.EXCHANGE_UNAVAILABLE,
    ("htx", "wrong_environment"): Reason.INVALID_KEY,
    ("kucoin", "expired"): Reason.INVALID_KEY,
    ("kucoin", "wrong_environment"): Reason.INVALID_KEY,
    # KuCoin's passphrase header is keyed with the secret, so a wrong secret breaks it first.
    ("kucoin", "a wrong secret"): Reason.WRONG_PASSPHRASE,
    ("gate", "expired"): Reason.INVALID_KEY,
    ("gate", "wrong_environment"): Reason.INVALID_KEY,
    ("bitget", "expired"): Reason.INVALID_KEY,
    ("bitget", "region_restricted"): Reason.UNKNOWN,
    ("mexc", "region_restricted"): Reason.UNKNOWN,
    ("mexc", "wrong_environment"): Reason.INVALID_KEY,
}
WITH_PASSPHRASE: Final = ("okx", "kucoin", "bitget")
CASES: Final = [
    (exchange, name)
    for exchange in EXCHANGES
    for name in REFUSED
    if name != "a wrong passphrase" or exchange in WITH_PASSPHRASE
]


def expected_reason(exchange: str, name: str) -> Reason:
    """Return the reason an exchange gives for refusing one of the accounts above."""
    return TOLD_OTHERWISE.get((exchange, name), REFUSED[name])


def keys_for(sandbox: RunningSandbox, exchange: str, name: str) -> SigningKeys:
    """Return the keys of a seeded account, or the full account's keys made wrong."""
    full = sandbox.account(exchange, "full").keys
    if name == "a key nobody has":
        return replace(full, api_key=full.api_key[::-1])
    if name == "a wrong secret":
        return replace(full, api_secret=full.api_secret[::-1])
    if name == "a wrong passphrase":
        return replace(full, passphrase="of another key")
    return sandbox.account(exchange, name).keys
