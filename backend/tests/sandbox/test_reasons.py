"""Every reason of the vocabulary can be seen, over HTTP, in the exchange's own words."""

import pytest

from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import classify_refusal
from backend.app.sandbox.accounts import EXCHANGES
from backend.tests.support.sandbox import RunningSandbox
from backend.tests.support.seeded_reasons import (
    CASES,
    WORKING,
    expected_reason,
    keys_for,
)

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

    status, body = sandbox.ask(exchange, keys, "GET", BALANCE[exchange])
    told = classify_refusal(exchange, status, body)

    assert told.reason is expected_reason(exchange, name)
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
    seen = {expected_reason(exchange, name) for exchange, name in CASES}

    assert seen == set(Reason)
