"""The connector against the sandbox: real signatures, real refusals, all eight."""

import base64
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import quote

import pytest

from backend.app.enums import Known
from backend.app.errors import CredentialRefused, ExchangeThrottled, ExchangeUnreachable
from backend.app.exchanges.connector import Connector
from backend.app.exchanges.reasons import Reason, Standing
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.exchanges.wire import SigningKeys
from backend.app.secret_value import SecretValue
from backend.tests.support.sandbox import RunningSandbox, patient, running_sandbox
from backend.tests.support.seeded_reasons import CASES, expected_reason


def _exchange_keys(keys: SigningKeys) -> ExchangeKeys:
    passphrase = None if keys.passphrase is None else SecretValue(keys.passphrase)
    return ExchangeKeys(keys.api_key, SecretValue(keys.api_secret), passphrase)


@asynccontextmanager
async def _connected(origin: str) -> AsyncIterator[Connector]:
    connector = Connector(patient(origin))
    try:
        yield connector
    finally:
        await connector.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


_BAD_ACCOUNTS = [(exchange, name) for exchange, name in CASES if not name.startswith("a ")]


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_good_key_is_verified_by_its_real_signature(
    sandbox: RunningSandbox, exchange: str
) -> None:
    account = sandbox.account(exchange, "full")

    async with _connected(sandbox.base_url) as connector:
        found = await connector.verify(exchange, _exchange_keys(account.keys))

    assert found.refusal is None
    assert {b.asset: b.total for b in found.balances} == {
        b.asset: b.total for b in account.balances
    }
    assert found.key_information_refusal is None
    assert found.key_information is not None
    assert found.key_information.can_trade is Known.YES
    assert all(call.http_status == 200 for call in found.evidence)
    assert len(found.evidence) <= 4


@pytest.mark.parametrize(("exchange", "name"), _BAD_ACCOUNTS)
async def test_a_bad_account_is_refused_for_its_own_reason(
    sandbox: RunningSandbox, exchange: str, name: str
) -> None:
    account = sandbox.account(exchange, name)

    async with _connected(sandbox.base_url) as connector:
        found = await connector.verify(exchange, _exchange_keys(account.keys))

    assert found.refusal is not None
    assert found.refusal.reason is expected_reason(exchange, name)
    assert found.balances == ()


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_key_that_may_only_read_is_valid_and_may_not_trade(
    sandbox: RunningSandbox, exchange: str
) -> None:
    account = sandbox.account(exchange, "read_only")

    async with _connected(sandbox.base_url) as connector:
        found = await connector.verify(exchange, _exchange_keys(account.keys))

    assert found.refusal is None
    assert found.key_information is not None
    assert found.key_information.can_trade is Known.NO


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_wrong_secret_makes_the_key_invalid(sandbox: RunningSandbox, exchange: str) -> None:
    keys = replace(sandbox.account(exchange, "full").keys, api_secret="f" * 32)

    async with _connected(sandbox.base_url) as connector:
        found = await connector.verify(exchange, _exchange_keys(keys))

    assert found.refusal is not None
    assert found.refusal.standing is Standing.INVALID


@pytest.mark.parametrize("exchange", ["okx", "kucoin", "bitget"])
async def test_a_wrong_passphrase_makes_the_key_invalid(
    sandbox: RunningSandbox, exchange: str
) -> None:
    keys = replace(sandbox.account(exchange, "full").keys, passphrase="not-the-one")

    async with _connected(sandbox.base_url) as connector:
        found = await connector.verify(exchange, _exchange_keys(keys))

    assert found.refusal is not None
    assert found.refusal.reason is Reason.WRONG_PASSPHRASE


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_the_same_key_is_judged_anew_every_time(
    sandbox: RunningSandbox, exchange: str
) -> None:
    good = _exchange_keys(sandbox.account(exchange, "full").keys)
    bad = _exchange_keys(replace(sandbox.account(exchange, "full").keys, api_key="0" * 24))

    async with _connected(sandbox.base_url) as connector:
        before = await connector.verify(exchange, good)
        between = await connector.verify(exchange, bad)
        after = await connector.verify(exchange, good)

    assert (before.refusal, after.refusal) == (None, None)
    assert between.refusal is not None
    # A client that remembers the success would call this throttling.
    assert between.refusal.standing is Standing.INVALID


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_no_log_shows_a_key_even_at_debug(
    sandbox: RunningSandbox, exchange: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # The far end shares our process here; what it logs is its own affair.
    caplog.set_level(logging.WARNING, logger="uvicorn.access")
    keys = sandbox.account(exchange, "full").keys

    async with _connected(sandbox.base_url) as connector:
        found = await connector.verify(exchange, _exchange_keys(keys))

    told = f"{caplog.text} {found!r} {_exchange_keys(keys)!r}"
    for secret in (keys.api_key, keys.api_secret, keys.passphrase):
        if secret is not None:
            assert secret not in told
            assert quote(secret) not in told
            assert base64.b64encode(secret.encode()).decode() not in told


async def test_balances_come_without_the_questions_about_the_key(sandbox: RunningSandbox) -> None:
    account = sandbox.account("okx", "full")

    async with _connected(sandbox.base_url) as connector:
        balances = await connector.balances("okx", _exchange_keys(account.keys))

    assert {b.asset for b in balances} == {b.asset for b in account.balances}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("frozen", CredentialRefused),
        ("throttled", ExchangeThrottled),
        ("maintenance", ExchangeUnreachable),
    ],
)
async def test_balances_of_a_bad_account_are_a_refusal(
    sandbox: RunningSandbox, name: str, error: type[Exception]
) -> None:
    keys = _exchange_keys(sandbox.account("okx", name).keys)

    async with _connected(sandbox.base_url) as connector:
        with pytest.raises(error):
            await connector.balances("okx", keys)
