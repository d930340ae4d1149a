"""Every reason of the vocabulary can be seen, over HTTP, in the exchange's own words."""

from dataclasses import replace

import pytest

from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import classify_refusal
from backend.app.exchanges.wire import SigningKeys
from backend.app.sandbox.accounts import EXCHANGES
from backend.tests.support.sandbox import RunningSandbox

BALANCE = {
    "binance": "/api/v3/account",
    "okx": "/api/v5/account/balance",
    "bybit": "/v5/account/wallet-balance?accountType=UNIFIED",
    "htx": "/v1/account/accounts",
    "kucoin": "/api/v1/accounts?type=trade",
    "gate": "/api/v4/spot/accounts",
    "bitget": "/api/v2/spot/account/assets",
    "mexc": "/api/v3/account",
}
WORKING = (
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
REFUSED = {
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
TOLD_OTHERWISE: dict[tuple[str, str], Reason] = {
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
WITH_PASSPHRASE = ("okx", "kucoin", "bitget")
CASES = [
    (exchange, name)
    for exchange in EXCHANGES
    for name in REFUSED
    if name != "a wrong passphrase" or exchange in WITH_PASSPHRASE
]


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("name", WORKING)
def test_a_working_account_is_answered(sandbox: RunningSandbox, exchange: str, name: str) -> None:
    keys = sandbox.account(exchange, name).keys

    status, body = sandbox.ask(exchange, keys, "GET", BALANCE[exchange])

    assert status == 200
    assert classify_refusal(exchange, status, body).code is None


@pytest.mark.parametrize(("exchange", "name"), CASES)
def test_a_refused_account_is_told_why(sandbox: RunningSandbox, exchange: str, name: str) -> None:
    keys = keys_for(sandbox, exchange, name)
    expected = TOLD_OTHERWISE.get((exchange, name), REFUSED[name])

    status, body = sandbox.ask(exchange, keys, "GET", BALANCE[exchange])
    told = classify_refusal(exchange, status, body)

    assert told.reason is expected
    assert keys.api_secret not in body


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_request_from_a_clock_that_is_off_is_refused(
    sandbox: RunningSandbox, exchange: str
) -> None:
    keys = sandbox.account(exchange, "full").keys

    status, body = sandbox.ask(exchange, keys, "GET", BALANCE[exchange], now_ms=1_704_067_200_000)

    assert classify_refusal(exchange, status, body).reason is Reason.CLOCK_SKEW


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_request_without_a_key_is_refused(sandbox: RunningSandbox, exchange: str) -> None:
    status, body = sandbox.ask(exchange, None, "GET", BALANCE[exchange])

    assert classify_refusal(exchange, status, body).reason in (
        Reason.INVALID_KEY,
        Reason.AMBIGUOUS_CREDENTIALS,
    )


def test_every_reason_is_seen_on_some_exchange() -> None:
    seen = {TOLD_OTHERWISE.get((exchange, name), REFUSED[name]) for exchange, name in CASES}

    assert seen == set(Reason)


def keys_for(sandbox: RunningSandbox, exchange: str, name: str) -> SigningKeys:
    full = sandbox.account(exchange, "full").keys
    if name == "a key nobody has":
        return replace(full, api_key=full.api_key[::-1])
    if name == "a wrong secret":
        return replace(full, api_secret=full.api_secret[::-1])
    if name == "a wrong passphrase":
        return replace(full, passphrase="of another key")
    return sandbox.account(exchange, name).keys
