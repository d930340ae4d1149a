"""Balances, open orders and the portfolio, with exchanges that say what they are told to."""

import asyncio
import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from backend.app.container import Container
from backend.app.enums import Environment
from backend.app.errors import (
    AuditUnavailable,
    CredentialNotFound,
    CredentialOfOtherEnvironment,
    CredentialRefused,
    ExchangeThrottled,
    ExchangeUnreachable,
    StrongroomError,
)
from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import SUPPORTED, profile
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.schemas.credential_schemas import Credential, CredentialCreate, CredentialUpdate
from backend.app.schemas.exchange_schemas import AssetBalance
from backend.app.services.account_service import AccountService
from backend.app.services.credential_vault import CredentialVault
from backend.app.services.exchange_service import ExchangeService
from backend.tests.support.fake_connector import GOOD_KEY, FakeConnector
from backend.tests.support.people import Person, person

RESTING = OpenOrder(
    order_id="77",
    client_order_id=None,
    instrument="BTCUSDT",
    symbol=None,
    side="buy",
    order_type="limit",
    price=Decimal("64000.10"),
    amount=Decimal("1.50"),
    filled=Decimal("0.000000010"),
    created_at=datetime(2026, 11, 21, tzinfo=UTC),
)


@pytest.fixture
def connector() -> FakeConnector:
    connector = FakeConnector()
    # Nobody tells whose account it is, so every key has one of its own.
    connector.says = replace(GOOD_KEY, key_information=None)
    return connector


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


async def bound(services: Container, owner: Person, exchange: str = "binance") -> Credential:
    phrase = SecretStr("phrase") if profile(exchange).needs_passphrase else None
    asked = CredentialCreate(
        exchange_name=exchange,
        api_key="K" + secrets.token_hex(16),
        api_secret=SecretStr(secrets.token_hex(16)),
        passphrase=phrase,
    )
    return await services.credentials.create(owner.user_id, asked, owner.caller)


def saying(kind: type[StrongroomError], reason: Reason) -> StrongroomError:
    facts: dict[str, Any] = {"reason": reason, "advice": f"about {reason}"}
    return kind("no", facts=facts)


def asset(name: str, available: str, locked: str, total: str) -> AssetBalance:
    return AssetBalance(asset=name, available=available, locked=locked, total=total)


async def uses(services: Container, stored: Credential) -> list[str]:
    async with services.database.snapshot() as session:
        page = await AuditRepository(session).page_after(0)
    told = [json.loads(event.payload) for event in page]
    opened = [event for event in told if event["act"] == "credential.used"]
    return [event["purpose"] for event in opened if event["object"]["id"] == stored.id]


async def test_balances_are_decimal_strings(services: Container, alice: Person) -> None:
    stored = await bound(services, alice)

    told = await services.accounts.balances(alice.user_id, stored.id, alice.caller)

    assert told.balances == [asset("BTC", "0.5", "1", "1.5"), asset("ETH", "0", "0", "0")]
    assert (told.credential_id, told.exchange_name) == (stored.id, "binance")
    assert (told.environment, told.as_of) == (Environment.SANDBOX, services.clock())


async def test_open_orders_are_decimal_strings_and_guess_no_symbol(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.resting = (RESTING,)
    connector.all_told = False

    told = await services.accounts.open_orders(alice.user_id, stored.id, alice.caller)

    (order,) = told.orders
    assert (order.price, order.amount, order.filled, order.remaining) == (
        "64000.1",
        "1.5",
        "0.00000001",
        "1.49999999",
    )
    assert (order.instrument, order.symbol, order.status) == ("BTCUSDT", None, "partially_filled")
    assert not told.is_complete


async def test_every_opening_is_recorded_for_what_it_was(
    services: Container, alice: Person
) -> None:
    stored = await bound(services, alice)

    await services.accounts.balances(alice.user_id, stored.id, alice.caller)
    await services.accounts.open_orders(alice.user_id, stored.id, alice.caller)
    await services.accounts.portfolio(alice.user_id, alice.caller)

    assert await uses(services, stored) == ["balances", "open_orders", "portfolio"]


async def test_the_record_is_there_before_the_exchange_is_asked(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored, seen = await bound(services, alice), []

    async def look() -> None:
        seen.append(await uses(services, stored))

    connector.meanwhile = look
    await services.accounts.portfolio(alice.user_id, alice.caller)

    assert seen == [["portfolio"]]


async def test_what_cannot_be_recorded_is_not_opened(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.asked.clear()
    await services.audit.stop()

    for ask in (
        services.accounts.balances(alice.user_id, stored.id, alice.caller),
        services.accounts.open_orders(alice.user_id, stored.id, alice.caller),
        services.accounts.portfolio(alice.user_id, alice.caller),
    ):
        with pytest.raises(AuditUnavailable):
            await ask

    assert connector.asked == []


async def test_another_users_account_is_nobodys(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    bob, stored = await person(services, "bob"), await bound(services, alice)
    connector.asked.clear()

    for ask in (services.accounts.balances, services.accounts.open_orders):
        with pytest.raises(CredentialNotFound):
            await ask(bob.user_id, stored.id, bob.caller)
    portfolio = await services.accounts.portfolio(bob.user_id, bob.caller)

    assert (portfolio.parts, portfolio.missing, portfolio.totals) == ([], [], [])
    assert connector.asked == []
    assert await uses(services, stored) == []


async def test_a_key_of_the_other_environment_is_never_opened(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.asked.clear()
    live = account_service(services, connector, Environment.LIVE)

    for ask in (live.balances, live.open_orders):
        with pytest.raises(CredentialOfOtherEnvironment):
            await ask(alice.user_id, stored.id, alice.caller)
    portfolio = await live.portfolio(alice.user_id, alice.caller)

    assert (portfolio.parts, portfolio.missing) == ([], [])
    assert connector.asked == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CredentialRefused, Reason.KEY_EXPIRED),
        (ExchangeThrottled, Reason.RATE_LIMITED),
        (ExchangeUnreachable, Reason.EXCHANGE_UNAVAILABLE),
    ],
)
async def test_a_refusal_of_the_exchange_is_handed_on(
    services: Container,
    alice: Person,
    connector: FakeConnector,
    error: type[StrongroomError],
    reason: Reason,
) -> None:
    stored = await bound(services, alice)
    connector.refuses["binance"] = saying(error, reason)

    for ask in (services.accounts.balances, services.accounts.open_orders):
        with pytest.raises(error):
            await ask(alice.user_id, stored.id, alice.caller)


async def test_two_exchanges_down_and_one_that_refuses_are_named(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = {exchange: await bound(services, alice, exchange) for exchange in SUPPORTED}
    down = saying(ExchangeUnreachable, Reason.EXCHANGE_UNAVAILABLE)
    connector.refuses = {
        "okx": down,
        "gate": down,
        "htx": saying(CredentialRefused, Reason.IP_NOT_ALLOWED),
    }

    told = await services.accounts.portfolio(alice.user_id, alice.caller)

    assert {(gap.exchange_name, gap.credential_id, gap.reason) for gap in told.missing} == {
        ("okx", stored["okx"].id, "exchange_unavailable"),
        ("gate", stored["gate"].id, "exchange_unavailable"),
        ("htx", stored["htx"].id, "ip_not_allowed"),
    }
    assert {gap.advice for gap in told.missing} == {
        "about exchange_unavailable",
        "about ip_not_allowed",
    }
    assert [part.exchange_name for part in told.parts] == [
        exchange for exchange in SUPPORTED if exchange not in connector.refuses
    ]
    assert told.totals[0] == asset("BTC", "2.5", "5", "7.5")
    # An outage and a refusal while looking change nothing in the stored keys.
    assert all(c.is_active for c in [await shown(services, alice, s) for s in stored.values()])


async def shown(services: Container, owner: Person, stored: Credential) -> Credential:
    return await services.credentials.get(owner.user_id, stored.id)


async def test_amounts_are_added_up_exactly(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    for exchange, amount in (("binance", "0.1"), ("bybit", "0.2"), ("mexc", "1E-18")):
        await bound(services, alice, exchange)
        connector.held[exchange] = (Balance("BTC", Decimal(amount)),)

    told = await services.accounts.portfolio(alice.user_id, alice.caller)

    total = "0.300000000000000001"
    assert told.totals == [asset("BTC", total, "0", total)]


async def test_two_keys_of_one_account_count_once(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    connector.says = replace(GOOD_KEY, key_information=KeyInformation(owner_uid="77"))
    first, second = await bound(services, alice), await bound(services, alice)
    other = await bound(services, alice, "bybit")

    told = await services.accounts.portfolio(alice.user_id, alice.caller)

    assert [(part.credential_id, part.same_account_as) for part in told.parts] == [
        (first.id, None),
        (second.id, first.id),
        (other.id, None),
    ]
    assert told.totals[0] == asset("BTC", "1", "2", "3")


async def test_all_are_asked_at_once(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    for exchange in SUPPORTED:
        await bound(services, alice, exchange)
    connector.asked.clear()
    gate = asyncio.Event()
    connector.holds_up = dict.fromkeys(SUPPORTED, gate)

    asking = asyncio.create_task(services.accounts.portfolio(alice.user_id, alice.caller))
    async with asyncio.timeout(60):
        while len(connector.asked) < len(SUPPORTED):
            await asyncio.sleep(0.005)
    gate.set()

    assert len((await asking).parts) == len(SUPPORTED)


async def test_who_is_too_slow_is_named_and_holds_nobody_up(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    slow, quick = await bound(services, alice, "bybit"), await bound(services, alice, "okx")
    connector.holds_up = {"bybit": asyncio.Event()}

    # A busy machine may be slow itself: then it is given more time, and the other is still slow.
    for seconds_max in (0.5, 5.0, 50.0):
        hasty = account_service(services, connector, Environment.SANDBOX, seconds_max)
        told = await hasty.portfolio(alice.user_id, alice.caller)
        if told.parts:
            break

    assert [gap.credential_id for gap in told.missing] == [slow.id]
    assert told.missing[0].reason is Reason.EXCHANGE_UNAVAILABLE
    assert [part.credential_id for part in told.parts] == [quick.id]
    assert [t for t in asyncio.all_tasks() if "_part" in repr(t.get_coro())] == []


async def test_a_caller_who_leaves_leaves_nothing_running(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    await bound(services, alice, "bybit")
    connector.asked.clear()
    connector.holds_up = {"bybit": asyncio.Event()}

    asking = asyncio.create_task(services.accounts.portfolio(alice.user_id, alice.caller))
    async with asyncio.timeout(60):
        while not connector.asked:
            await asyncio.sleep(0.005)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert [t for t in asyncio.all_tasks() if "_part" in repr(t.get_coro())] == []


async def test_a_key_that_vanishes_meanwhile_is_named(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    async with services.database.transaction() as session:
        await DekRepository(session).shred_all(alice.user_id, services.clock())

    told = await services.accounts.portfolio(alice.user_id, alice.caller)

    assert [(gap.credential_id, gap.reason) for gap in told.missing] == [
        (stored.id, "credential-changed")
    ]


async def test_a_key_that_is_switched_off_is_not_asked(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    await services.credentials.update(
        alice.user_id, stored.id, CredentialUpdate(is_active=False), alice.caller
    )
    connector.asked.clear()

    told = await services.accounts.portfolio(alice.user_id, alice.caller)

    assert (told.parts, told.missing, connector.asked) == ([], [], [])


def account_service(
    services: Container,
    connector: FakeConnector,
    environment: Environment,
    seconds_max: float = 20.0,
) -> AccountService:
    crypto = services._crypto
    return AccountService(
        database=services.database,
        vault=CredentialVault(services.database, crypto, services.audit, services.clock),
        exchanges=ExchangeService(connector, environment, services.clock),
        environment=environment,
        now=services.clock,
        portfolio_seconds_max=seconds_max,
    )
