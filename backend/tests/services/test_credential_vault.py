"""A credential's way in and out: bound to its row, and opened on the record or not at all."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from backend.app.audit_record import Actor, ActorType, AuditRecord, Caller
from backend.app.database import Database
from backend.app.errors import (
    AuditUnavailable,
    CredentialChanged,
    CredentialUnreadable,
    VaultSealed,
)
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.models.api_credential import ApiCredential
from backend.app.models.dek import Dek
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.repositories.audit_repository import SEQ_MIN, AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.secret_value import SecretValue
from backend.app.services.audit_service import AuditService
from backend.app.services.credential_vault import CredentialVault
from backend.app.services.crypto_service import CryptoService, WrappedDek
from backend.app.services.envelope import FieldContext
from backend.app.services.key_check import KeyCheck
from backend.app.services.key_instances import KeyInstances
from backend.app.services.key_ring import KeyRing

AT = datetime(2026, 11, 21, tzinfo=UTC)
ALICE, BOB = 7, 8
CALLER = Caller(Actor(ActorType.USER, ALICE), request_id="0f" * 16, address="192.0.2.1")
KEYS = ExchangeKeys("the-api-key", SecretValue("s3cr3t-value"), SecretValue("pass phrase"))


class CountingCrypto(CryptoService):
    """Counts how often something is opened."""

    opened = 0

    async def decrypt(self, sealed: str, context: FieldContext, key: WrappedDek) -> SecretValue:
        self.opened += 1
        return await super().decrypt(sealed, context, key)


class RefusingAudit(AuditService):
    """A trail that cannot be written."""

    async def record(self, record: AuditRecord) -> None:
        raise AuditUnavailable


@dataclass
class House:
    database: Database
    crypto: CountingCrypto
    vault: CredentialVault

    async def bound(self, keys: ExchangeKeys = KEYS, rev: int = 1) -> ApiCredential:
        """Return a credential of Alice's, its data key stored."""
        sealed = await self.vault.seal(ALICE, 42, "okx", keys, rev)
        async with self.database.transaction() as session:
            await DekRepository(session).add(
                ALICE,
                dek_id=sealed.dek.dek_id,
                kid=sealed.dek.kid,
                wrapped=sealed.dek.wrapped,
                kcv=sealed.dek.kcv,
                at=AT,
            )
        return ApiCredential(
            id=42,
            user_id=ALICE,
            exchange_name="okx",
            api_key=keys.api_key,
            encrypted_api_secret=sealed.encrypted_api_secret,
            encrypted_passphrase=sealed.encrypted_passphrase,
            dek_id=sealed.dek.dek_id,
            rev=sealed.rev,
        )

    async def uses(self) -> list[dict[str, Any]]:
        async with self.database.snapshot() as session:
            page = await AuditRepository(session).page_after(SEQ_MIN)
        told = [json.loads(event.payload) for event in page]
        return [event for event in told if event["act"] == "credential.used"]


def key_check(database: Database, ring: KeyRing, crypto: CryptoService) -> KeyCheck:
    return KeyCheck(database, ring, crypto, KeyInstances(ring, "one", lambda: AT), lambda: AT)


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    ring = KeyRing.from_environment(f"k1:{CryptoService.generate_key()}")
    crypto = CountingCrypto(ring)
    await key_check(database, ring, crypto).unlock()
    audit = AuditService(AuditAppender(database))
    await audit.start()
    yield House(database, crypto, CredentialVault(database, crypto, audit, lambda: AT))
    await audit.stop()


async def test_what_was_sealed_is_opened(house: House) -> None:
    keys = await house.vault.open(await house.bound(), "verify", CALLER)

    assert keys.api_key == "the-api-key"
    opened = keys.reveal()
    assert (opened.api_secret, opened.passphrase) == ("s3cr3t-value", "pass phrase")


async def test_no_passphrase_stays_no_passphrase(house: House) -> None:
    stored = await house.bound(ExchangeKeys("the-api-key", SecretValue("s3cr3t-value")))

    keys = await house.vault.open(stored, "verify", CALLER)

    assert stored.encrypted_passphrase is None
    assert keys.passphrase is None


async def test_every_use_is_on_the_record(house: House) -> None:
    await house.vault.open(await house.bound(rev=3), "verify", CALLER)

    assert await house.uses() == [
        {
            "act": "credential.used",
            "actor": {"id": ALICE, "type": "user"},
            "at": "2026-11-21T00:00:00.000000Z",
            "ip": "192.0.2.1",
            "kid": "k1",
            "object": {"id": 42, "owner": ALICE, "type": "credential"},
            "outcome": "allowed",
            "purpose": "verify",
            "req": "0f" * 16,
            "rev": 3,
        }
    ]


async def test_without_a_record_nothing_is_opened(house: House) -> None:
    stored = await house.bound()
    audit = RefusingAudit(house.database)
    vault = CredentialVault(house.database, house.crypto, audit, lambda: AT)

    with pytest.raises(AuditUnavailable):
        await vault.open(stored, "verify", CALLER)

    assert house.crypto.opened == 0


async def test_a_use_is_committed_before_the_secret_is_opened(house: House) -> None:
    stored = await house.bound()
    house.crypto.seal()

    with pytest.raises(VaultSealed):
        await house.vault.open(stored, "verify", CALLER)

    assert [use["outcome"] for use in await house.uses()] == ["allowed"]


@pytest.mark.parametrize("moved", [{"id": 43}, {"rev": 2}, {"encrypted_api_secret": "sr1.damaged"}])
async def test_a_secret_moved_or_damaged_is_refused_and_recorded(
    house: House, moved: dict[str, Any]
) -> None:
    stored = await house.bound()
    for name, value in moved.items():
        setattr(stored, name, value)

    with pytest.raises(CredentialUnreadable):
        await house.vault.open(stored, "verify", CALLER)

    told = [(use["outcome"], use.get("reason")) for use in await house.uses()]
    assert told == [("allowed", None), ("failed", "unreadable")]


async def test_two_fields_swapped_do_not_open(house: House) -> None:
    stored = await house.bound()
    assert stored.encrypted_passphrase is not None
    stored.encrypted_api_secret, stored.encrypted_passphrase = (
        stored.encrypted_passphrase,
        stored.encrypted_api_secret,
    )

    with pytest.raises(CredentialUnreadable):
        await house.vault.open(stored, "verify", CALLER)


async def test_a_key_destroyed_meanwhile_is_a_changed_credential(house: House) -> None:
    stored = await house.bound()
    async with house.database.transaction() as session:
        await DekRepository(session).shred(ALICE, stored.dek_id, AT)

    with pytest.raises(CredentialChanged):
        await house.vault.open(stored, "verify", CALLER)

    assert house.crypto.opened == 0


async def test_a_row_given_to_another_user_finds_no_key(house: House) -> None:
    stored = await house.bound()
    stored.user_id = BOB

    with pytest.raises(CredentialChanged):
        await house.vault.open(stored, "verify", CALLER)


async def test_a_row_given_away_with_its_key_does_not_open(house: House) -> None:
    stored = await house.bound()
    stored.user_id = BOB
    async with house.database.transaction() as session:
        await session.execute(update(Dek).where(Dek.dek_id == stored.dek_id).values(owner_id=BOB))

    with pytest.raises(CredentialUnreadable):
        await house.vault.open(stored, "verify", CALLER)


@pytest.mark.parametrize("damage", [{"wrapped": "kw1.damaged"}, {"kcv": bytes(8)}])
async def test_a_damaged_data_key_is_refused_and_recorded(
    house: House, damage: dict[str, Any]
) -> None:
    stored = await house.bound()
    async with house.database.transaction() as session:
        await session.execute(update(Dek).where(Dek.dek_id == stored.dek_id).values(**damage))
    house.crypto.seal()
    await _unlock_again(house)

    with pytest.raises(CredentialUnreadable):
        await house.vault.open(stored, "verify", CALLER)


async def test_each_sealing_has_a_key_of_its_own_and_the_same_fingerprint(house: House) -> None:
    first = await house.vault.seal(ALICE, 42, "okx", KEYS)
    second = await house.vault.seal(BOB, 43, "okx", KEYS, rev=2)

    assert first.dek.dek_id != second.dek.dek_id
    assert first.key_fingerprint == second.key_fingerprint
    assert (first.rev, second.rev) == (1, 2)


async def test_sealed_keys_show_no_ciphertext(house: House) -> None:
    sealed = await house.vault.seal(ALICE, 42, "okx", KEYS)

    assert "sr1." not in repr(sealed)
    assert "kw1." not in repr(sealed)


async def _unlock_again(house: House) -> None:
    await key_check(house.database, house.crypto._key_ring, house.crypto).unlock()
