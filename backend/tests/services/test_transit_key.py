"""A root key in a transit engine, over real HTTP: well, away, slow, busy and wrong."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from backend.app.config import KeyProvider, VaultSettings
from backend.app.database import Database
from backend.app.errors import ConfigurationError, VaultSealed, VaultUnavailable
from backend.app.secret_value import SecretValue
from backend.app.services.crypto_service import DEK_CACHE_TTL_SECONDS, CryptoService
from backend.app.services.envelope import DekContext, EnvelopeError, FieldContext
from backend.app.services.key_check import KeyCheck
from backend.app.services.key_instances import KeyInstances
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_service_calls import WAITING_MAX
from backend.app.services.key_sources import build_key_ring
from backend.tests.support.key_services import PATIENCE_SECONDS, TOKEN, Transit, transit
from backend.tests.support.vault_keys import now

DEK = bytes(range(0x20, 0x40))


@pytest.fixture
def engine() -> Iterator[Transit]:
    with transit() as running:
        yield running


def settings(engine: Transit, token: str = TOKEN) -> VaultSettings:
    return VaultSettings(
        _env_file=None,
        key_provider=KeyProvider.TRANSIT,
        transit_url=engine.url,
        transit_key=["strongroom"],
        transit_token=SecretStr(token),
    )


def patient_ring(engine: Transit, token: str = TOKEN) -> KeyRing:
    """Return a ring that gives a busy machine its time."""
    return build_key_ring(settings(engine, token), PATIENCE_SECONDS)


@pytest.fixture
def ring(engine: Transit) -> KeyRing:
    return patient_ring(engine)


@pytest.fixture
def hasty_ring(engine: Transit) -> KeyRing:
    return build_key_ring(settings(engine), deadline_seconds=0.2)


def context(ring: KeyRing, owner_id: int = 7) -> DekContext:
    return DekContext(ring.sealing.kid, UUID(int=3), owner_id)


async def test_a_data_key_goes_there_and_back(ring: KeyRing) -> None:
    wrapped = await ring.wrap(DEK, context(ring))

    assert wrapped.startswith(f"kw1.transit.{ring.sealing.kid}.")
    assert await ring.unwrap(wrapped, context(ring)) == DEK
    assert await ring.sealing.healthy()


async def test_it_opens_for_its_own_row_only(ring: KeyRing) -> None:
    wrapped = await ring.wrap(DEK, context(ring))

    with pytest.raises(EnvelopeError):
        await ring.unwrap(wrapped, context(ring, owner_id=8))
    with pytest.raises(EnvelopeError):
        await ring.unwrap(wrapped, replace(context(ring), dek_id=UUID(int=4)))
    with pytest.raises(EnvelopeError):
        await ring.unwrap(wrapped.replace("transit", "awskms", 1), context(ring))
    with pytest.raises(EnvelopeError):
        await ring.unwrap(wrapped[:-4] + "AAAA", context(ring))


async def test_an_engine_whose_key_binds_nothing_is_found_at_the_start(
    engine: Transit, ring: KeyRing, database: Database
) -> None:
    engine.derived = False

    check = KeyCheck(database, ring, CryptoService(ring), KeyInstances(ring, "one", now), now)

    assert not await ring.sealing.healthy()
    with pytest.raises(ConfigurationError, match="derived=true"):
        await check.unlock()


@pytest.mark.parametrize("mood", ["throttled", "broken", "away", "other", "wrong"])
async def test_a_stumble_is_tried_again(engine: Transit, ring: KeyRing, mood: str) -> None:
    wrapped = await ring.wrap(DEK, context(ring))
    engine.mood, engine.lasts = mood, 2

    assert await ring.unwrap(wrapped, context(ring)) == DEK


@pytest.mark.parametrize("mood", ["throttled", "broken", "away", "other", "wrong"])
async def test_trouble_that_stays_is_a_refusal_after_three_tries(
    engine: Transit, ring: KeyRing, mood: str
) -> None:
    engine.mood, engine.asked = mood, 0

    with pytest.raises(VaultUnavailable, match=r"key service \(transit\)"):
        await ring.wrap(DEK, context(ring))

    assert engine.asked == 3
    assert not await ring.sealing.healthy()


async def test_nobody_waits_longer_than_the_deadline(engine: Transit, hasty_ring: KeyRing) -> None:
    # It does not answer while the test lasts.
    engine.mood = "slow"

    with pytest.raises(VaultUnavailable, match="in time"):
        await hasty_ring.wrap(DEK, context(hasty_ring))


async def test_more_callers_than_it_can_answer_are_refused_at_once(
    engine: Transit, hasty_ring: KeyRing
) -> None:
    engine.mood = "slow"

    tried = await asyncio.gather(
        *(hasty_ring.wrap(DEK, context(hasty_ring)) for _ in range(300)), return_exceptions=True
    )

    told = [str(one) for one in tried if isinstance(one, VaultUnavailable)]
    assert len(told) == 300
    assert sum("more than it can answer" in one for one in told) == 300 - WAITING_MAX


async def test_a_refused_token_is_not_tried_again(engine: Transit) -> None:
    ring = patient_ring(engine, token="another")

    with pytest.raises(VaultUnavailable, match="refuses us"):
        await ring.wrap(DEK, context(ring))

    assert engine.asked == 1


async def test_a_renewed_token_is_read_from_its_file(engine: Transit, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("outdated\n")
    given = settings(engine).model_copy(update={"transit_token": None, "transit_token_file": file})
    ring = build_key_ring(given, PATIENCE_SECONDS)
    with pytest.raises(VaultUnavailable):
        await ring.wrap(DEK, context(ring))

    file.write_text(f"{TOKEN}\n")

    assert await ring.unwrap(await ring.wrap(DEK, context(ring)), context(ring)) == DEK


async def test_while_it_is_away_known_keys_go_on_for_a_minute(engine: Transit) -> None:
    seconds = [0.0]
    crypto = CryptoService(patient_ring(engine), lambda: seconds[0])
    await crypto.unlock(await crypto.new_dek(0))
    key = await crypto.new_dek(7)
    field = FieldContext(7, "api_credentials", 42, "encrypted_api_secret", 1, key.dek_id)
    sealed = await crypto.encrypt(SecretValue("s3cr3t-value"), field, key)

    engine.mood = "away"
    seconds[0] = DEK_CACHE_TTL_SECONDS - 1
    with (await crypto.decrypt(sealed, field, key)).reveal() as raw:
        assert raw == "s3cr3t-value"
    seconds[0] = DEK_CACHE_TTL_SECONDS
    with pytest.raises(VaultUnavailable):
        await crypto.decrypt(sealed, field, key)
    with pytest.raises(VaultUnavailable):
        await crypto.new_dek(7)

    engine.mood = "well"
    with (await crypto.decrypt(sealed, field, key)).reveal() as raw:
        assert raw == "s3cr3t-value"


async def test_a_vault_sealed_while_the_engine_answers_remembers_nothing(engine: Transit) -> None:
    crypto = CryptoService(patient_ring(engine))
    await crypto.unlock(await crypto.new_dek(0))
    key = await crypto.new_dek(7)
    field = FieldContext(7, "api_credentials", 42, "encrypted_api_secret", 1, key.dek_id)
    sealed = await crypto.encrypt(SecretValue("s3cr3t-value"), field, key)
    crypto.forget(key)

    opening = asyncio.create_task(crypto.decrypt(sealed, field, key))
    await asyncio.sleep(0)
    crypto.seal()

    with pytest.raises(VaultSealed):
        await opening
    assert len(crypto._deks) == 0


async def test_an_engine_that_loses_what_it_wraps_is_not_believed(
    engine: Transit, ring: KeyRing
) -> None:
    class Forgetful(dict[str, bytes]):
        def __getitem__(self, name: str) -> bytes:
            return bytes([engine.asked % 256]) * 32

    engine.keys = Forgetful(engine.keys)

    with pytest.raises(VaultUnavailable, match="does not open what it wrapped"):
        await ring.wrap(DEK, context(ring))


async def test_an_installation_starts_on_transit_alone(engine: Transit, database: Database) -> None:
    for _ in range(2):
        ring = patient_ring(engine)
        crypto = CryptoService(ring)
        await KeyCheck(database, ring, crypto, KeyInstances(ring, "one", now), now).unlock()

    assert len(crypto.key_fingerprint("okx", "key")) == 16


async def test_a_key_made_anew_under_the_old_name_refuses_the_start(
    engine: Transit, database: Database
) -> None:
    ring = patient_ring(engine)
    instances = KeyInstances(ring, "one", now)
    await KeyCheck(database, ring, CryptoService(ring), instances, now).unlock()
    engine.keys["strongroom"] = bytes(32)

    with pytest.raises(ConfigurationError, match="does not open"):
        await KeyCheck(database, ring, CryptoService(ring), instances, now).unlock()
