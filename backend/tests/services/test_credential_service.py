"""The vault's use cases on a real database, with an exchange that says what it is told to."""

import asyncio
import json
import secrets
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import Environment
from backend.app.errors import (
    AuditUnavailable,
    CredentialChanged,
    CredentialExists,
    CredentialNotFound,
    CredentialOfOtherEnvironment,
    CredentialRefused,
    CredentialUnreadable,
    DatabaseUnavailable,
    ExchangeThrottled,
    ExchangeUnknown,
    ExchangeUnreachable,
    TooManyCredentials,
    Unprocessable,
)
from backend.app.exchanges.reasons import Reason
from backend.app.schemas.credential_schemas import Credential, CredentialCreate, CredentialUpdate
from backend.app.schemas.exchange_schemas import VerifyRequest
from backend.app.services.key_policy import CREDENTIALS_PER_USER_MAX
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import GOOD_KEY, FakeConnector, refused
from backend.tests.support.people import Person, person


@pytest.fixture
def connector() -> FakeConnector:
    return FakeConnector()


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


def key_pair(**other: Any) -> CredentialCreate:
    members = {
        "exchange_name": "binance",
        "api_key": "K" + secrets.token_hex(16),
        "api_secret": SecretStr(secrets.token_hex(16)),
    }
    return CredentialCreate(**{**members, **other})


async def listed(services: Container, owner: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await services.credentials.list_json(owner.user_id))
    return found


async def rows(services: Container, sql: str) -> list[Any]:
    async with services.database.snapshot() as session:
        return list((await session.execute(text(sql))).all())


async def acts(services: Container) -> list[str]:
    found = await rows(services, "SELECT payload FROM audit_events ORDER BY seq")
    return [json.loads(payload)["act"] for (payload,) in found]


async def bound(services: Container, owner: Person, **other: Any) -> Credential:
    return await services.credentials.create(owner.user_id, key_pair(**other), owner.caller)


async def test_a_valid_key_is_stored_and_found(services: Container, alice: Person) -> None:
    stored = await bound(services, alice)

    assert stored.last_verified_at is not None
    assert stored.has_trading_permission is True
    assert await services.credentials.get(alice.user_id, stored.id) == stored
    assert [item["id"] for item in await listed(services, alice)] == [stored.id]


async def test_a_key_stored_untried_says_so(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice, verify=False)

    assert stored.last_verified_at is None
    assert stored.has_trading_permission is None
    assert connector.asked == []


@pytest.mark.parametrize(
    "reason",
    [
        Reason.INVALID_KEY,
        Reason.BAD_SIGNATURE,
        Reason.WRONG_PASSPHRASE,
        Reason.KEY_EXPIRED,
        Reason.IP_NOT_ALLOWED,
        Reason.PERMISSION_MISSING,
        Reason.ACCOUNT_RESTRICTED,
        Reason.WRONG_ENVIRONMENT,
        Reason.AMBIGUOUS_CREDENTIALS,
    ],
)
async def test_a_refused_key_is_not_stored_and_the_reason_is_told(
    services: Container, alice: Person, connector: FakeConnector, reason: Reason
) -> None:
    connector.says = refused(reason)

    with pytest.raises(CredentialRefused) as refusal:
        await bound(services, alice)

    assert refusal.value.facts["reason"] == reason
    assert refusal.value.facts["advice"]
    assert await listed(services, alice) == []
    assert await rows(services, "SELECT 1 FROM deks WHERE owner_id > 0") == []


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.EXCHANGE_UNAVAILABLE, ExchangeUnreachable),
        (Reason.CLOCK_SKEW, ExchangeUnreachable),
        (Reason.REGION_RESTRICTED, ExchangeUnreachable),
        (Reason.UNKNOWN, ExchangeUnreachable),
        (Reason.RATE_LIMITED, ExchangeThrottled),
    ],
)
async def test_without_a_verdict_nothing_is_stored(
    services: Container,
    alice: Person,
    connector: FakeConnector,
    reason: Reason,
    told: type[Exception],
) -> None:
    connector.says = refused(reason)

    with pytest.raises(told) as refusal:
        await bound(services, alice)

    assert refusal.value.retry_after_seconds > 0  # type: ignore[attr-defined]
    assert await listed(services, alice) == []


async def test_the_same_key_again_is_a_conflict_and_no_exchange_is_asked(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    asked = key_pair()
    await services.credentials.create(alice.user_id, asked, alice.caller)
    connector.asked.clear()

    with pytest.raises(CredentialExists):
        await services.credentials.create(alice.user_id, asked, alice.caller)

    assert connector.asked == []


async def test_of_two_who_bind_the_same_key_at_once_one_succeeds(
    services: Container, alice: Person
) -> None:
    asked = key_pair()

    answers = await asyncio.gather(
        *(services.credentials.create(alice.user_id, asked, alice.caller) for _ in range(4)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Credential) for answer in answers) == 1
    assert sum(isinstance(answer, CredentialExists) for answer in answers) == 3
    assert len(await listed(services, alice)) == 1


async def test_one_user_holds_so_many_and_no_more(services: Container, alice: Person) -> None:
    await bound(services, alice, verify=False)
    # As many as are left but one, without the work of binding them.
    columns = "user_id, exchange_name, environment, encrypted_api_secret, dek_id, rev"
    async with services.database.transaction() as session:
        await session.execute(
            text(
                f"INSERT INTO api_credentials ({columns}, api_key, key_fingerprint)"
                f" SELECT {columns}, api_key || n, key_fingerprint FROM api_credentials,"
                " generate_series(1, :count) AS n"
            ),
            {"count": CREDENTIALS_PER_USER_MAX - 2},
        )

    answers = await asyncio.gather(
        *(bound(services, alice, verify=False) for _ in range(3)), return_exceptions=True
    )

    assert sum(isinstance(answer, TooManyCredentials) for answer in answers) == 2
    assert len(await listed(services, alice)) == CREDENTIALS_PER_USER_MAX


@pytest.mark.parametrize(
    ("exchange", "passphrase", "refusal"),
    [
        ("kraken", None, ExchangeUnknown),
        ("okx", None, Unprocessable),
        ("binance", SecretStr("surplus"), Unprocessable),
    ],
)
async def test_a_wrong_exchange_or_passphrase_is_told_before_anything_is_asked(
    services: Container,
    alice: Person,
    connector: FakeConnector,
    exchange: str,
    passphrase: SecretStr | None,
    refusal: type[Exception],
) -> None:
    with pytest.raises(refusal):
        await bound(services, alice, exchange_name=exchange, passphrase=passphrase)

    assert connector.asked == []


async def test_what_users_type_becomes_the_canonical_name(
    services: Container, alice: Person
) -> None:
    stored = await bound(services, alice, exchange_name=" Gate.IO ")

    assert stored.exchange_name == "gate"


async def test_another_users_credential_is_a_missing_one(
    services: Container, alice: Person
) -> None:
    stored = await bound(services, alice)
    bob = await person(services, "bob")
    use = services.credentials

    for attempt in (
        use.get(bob.user_id, stored.id),
        use.verify(bob.user_id, stored.id, bob.caller),
        use.update(bob.user_id, stored.id, CredentialUpdate(label="mine"), bob.caller),
        use.delete(bob.user_id, stored.id, bob.caller),
    ):
        with pytest.raises(CredentialNotFound):
            await attempt

    assert await use.get(alice.user_id, stored.id) == stored


async def test_an_update_is_tried_first_and_a_refusal_leaves_the_old_keys(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    asked = key_pair()
    stored = await services.credentials.create(alice.user_id, asked, alice.caller)
    connector.says = refused(Reason.BAD_SIGNATURE)

    with pytest.raises(CredentialRefused):
        await services.credentials.update(
            alice.user_id,
            stored.id,
            CredentialUpdate(api_secret=SecretStr("another-secret")),
            alice.caller,
        )

    assert await services.credentials.get(alice.user_id, stored.id) == stored
    connector.says = GOOD_KEY
    await services.credentials.verify(alice.user_id, stored.id, alice.caller)
    assert connector.asked[-1][2] == asked.api_secret.get_secret_value()


async def test_an_accepted_update_replaces_the_keys_and_shreds_what_opened_the_old(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)

    changed = await services.credentials.update(
        alice.user_id,
        stored.id,
        CredentialUpdate(api_key="another-key-0001", api_secret=SecretStr("another-secret")),
        alice.caller,
    )
    await services.credentials.verify(alice.user_id, stored.id, alice.caller)

    assert changed.api_key_masked == "anot...0001"
    assert connector.asked[-1][1:3] == ("another-key-0001", "another-secret")
    deks = await rows(
        services, "SELECT wrapped IS NULL FROM deks WHERE owner_id > 0 ORDER BY created_at, 1 DESC"
    )
    assert sorted(shredded for (shredded,) in deks) == [False, True]


async def test_a_new_secret_alone_keeps_the_stored_passphrase(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice, exchange_name="okx", passphrase=SecretStr("old words"))

    await services.credentials.update(
        alice.user_id, stored.id, CredentialUpdate(api_secret=SecretStr("fresh")), alice.caller
    )

    assert connector.asked[-1][2:] == ("fresh", "old words")


async def test_a_new_key_of_an_exchange_with_passphrases_needs_one(
    services: Container, alice: Person
) -> None:
    stored = await bound(services, alice, exchange_name="okx", passphrase=SecretStr("old words"))

    with pytest.raises(Unprocessable):
        await services.credentials.update(
            alice.user_id,
            stored.id,
            CredentialUpdate(api_key="another-key", api_secret=SecretStr("fresh")),
            alice.caller,
        )


async def test_a_label_changes_without_asking_the_exchange_or_opening_a_secret(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.asked.clear()

    changed = await services.credentials.update(
        alice.user_id, stored.id, CredentialUpdate(label="desk", is_active=False), alice.caller
    )

    assert (changed.label, changed.is_active) == ("desk", False)
    assert connector.asked == []
    assert "credential.used" not in await acts(services)


async def test_of_two_updates_at_once_one_wins_and_one_is_told(
    services: Container, alice: Person
) -> None:
    stored = await bound(services, alice)

    answers = await asyncio.gather(
        *(
            services.credentials.update(
                alice.user_id,
                stored.id,
                CredentialUpdate(api_secret=SecretStr(f"secret-{number}")),
                alice.caller,
            )
            for number in range(3)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Credential) for answer in answers) == 1
    assert sum(isinstance(answer, CredentialChanged) for answer in answers) == 2


async def test_a_credential_deleted_while_the_exchange_answers_stays_deleted(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.meanwhile = lambda: services.credentials.delete(
        alice.user_id, stored.id, alice.caller
    )

    with pytest.raises(CredentialChanged):
        await services.credentials.verify(alice.user_id, stored.id, alice.caller)

    assert await listed(services, alice) == []


@pytest.mark.parametrize("verdict", [GOOD_KEY, refused(Reason.INVALID_KEY)])
async def test_a_replaced_key_never_inherits_the_old_ones_verdict(
    services: Container, alice: Person, connector: FakeConnector, verdict: Any
) -> None:
    stored = await bound(services, alice, verify=False)
    connector.says = verdict
    connector.meanwhile = lambda: services.credentials.update(
        alice.user_id,
        stored.id,
        CredentialUpdate(api_secret=SecretStr("fresh"), verify=False),
        alice.caller,
    )

    with pytest.raises(CredentialChanged):
        await services.credentials.verify(alice.user_id, stored.id, alice.caller)

    assert (await services.credentials.get(alice.user_id, stored.id)).last_verified_at is None


async def test_verifying_again_remembers_when_the_key_last_worked(
    services: Container, alice: Person, clock: HandClock
) -> None:
    stored = await bound(services, alice)
    clock.advance(hours=1)

    verdict = await services.credentials.verify(alice.user_id, stored.id, alice.caller)

    found = await services.credentials.get(alice.user_id, stored.id)
    assert verdict.is_valid
    assert found.last_verified_at == verdict.checked_at == clock()
    assert (await listed(services, alice))[0]["last_verified_at"].startswith("2026-11-21T13")


async def test_a_key_gone_invalid_keeps_the_moment_it_last_worked(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.says = refused(Reason.INVALID_KEY)

    verdict = await services.credentials.verify(alice.user_id, stored.id, alice.caller)

    assert (verdict.is_valid, verdict.reason) == (False, Reason.INVALID_KEY)
    assert await services.credentials.get(alice.user_id, stored.id) == stored


async def test_a_sandbox_key_never_reaches_a_live_exchange(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    async with services.database.transaction() as session:
        await session.execute(
            text("UPDATE api_credentials SET environment = :other"), {"other": Environment.LIVE}
        )
    connector.asked.clear()

    with pytest.raises(CredentialOfOtherEnvironment):
        await services.credentials.verify(alice.user_id, stored.id, alice.caller)
    with pytest.raises(CredentialOfOtherEnvironment):
        await services.credentials.update(
            alice.user_id, stored.id, CredentialUpdate(api_secret=SecretStr("x")), alice.caller
        )

    assert connector.asked == []


async def test_deleting_is_permanent_and_destroys_the_key_that_opened_it(
    services: Container, alice: Person
) -> None:
    stored = await bound(services, alice)

    await services.credentials.delete(alice.user_id, stored.id, alice.caller)

    with pytest.raises(CredentialNotFound):
        await services.credentials.get(alice.user_id, stored.id)
    assert await rows(services, "SELECT wrapped FROM deks WHERE owner_id > 0") == [(None,)]
    assert (await acts(services))[-2:] == ["credential.deleted", "credential.shredded"]


async def test_a_use_is_on_record_before_the_exchange_is_asked(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    seen: list[str] = []

    async def look() -> None:
        seen.extend(await acts(services))

    connector.meanwhile = look
    await services.credentials.verify(alice.user_id, stored.id, alice.caller)

    assert seen[-1] == "credential.used"
    assert (await acts(services))[-1] == "credential.verified"


async def test_without_a_record_the_secret_stays_closed(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.asked.clear()
    await services.audit.stop()

    with pytest.raises(AuditUnavailable):
        await services.credentials.verify(alice.user_id, stored.id, alice.caller)

    assert connector.asked == []


async def test_a_secret_moved_to_another_row_does_not_open(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    first, second = await bound(services, alice), await bound(services, alice)
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE api_credentials SET encrypted_api_secret = other.encrypted_api_secret "
                "FROM api_credentials other WHERE api_credentials.id = :first "
                "AND other.id = :second"
            ),
            {"first": first.id, "second": second.id},
        )
    connector.asked.clear()

    with pytest.raises(CredentialUnreadable):
        await services.credentials.verify(alice.user_id, first.id, alice.caller)

    assert connector.asked == []


async def test_a_failed_bind_leaves_nothing_behind(services: Container, alice: Person) -> None:
    # The audit row is the last of the block; that it cannot be written takes the rest with it.
    async with services.database.transaction() as session:
        await session.execute(text("ALTER TABLE audit_chain_heads RENAME TO away"))

    with pytest.raises(Exception, match="audit_chain_heads"):
        await bound(services, alice, verify=False)

    assert await rows(services, "SELECT id FROM api_credentials") == []
    assert await rows(services, "SELECT 1 FROM deks WHERE owner_id > 0") == []


async def test_a_broken_connection_is_told_as_an_outage_and_the_next_request_is_served(
    services: Container, alice: Person
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with services.database.transaction() as session:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    assert await listed(services, alice) == []


async def test_trying_a_key_stores_nothing(services: Container, alice: Person) -> None:
    pair = key_pair()

    verdict = await services.credentials.try_keys(
        VerifyRequest(exchange_name="binance", api_key=pair.api_key, api_secret=pair.api_secret)
    )

    assert verdict.is_valid
    assert verdict.account_info is not None
    assert [asset.model_dump() for asset in verdict.account_info.balances] == [
        {"asset": "BTC", "available": "0.5", "locked": "1", "total": "1.5"}
    ]
    assert await listed(services, alice) == []
