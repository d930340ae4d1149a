"""The canary: a start with the wrong master key ends before the first request."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text, update

from backend.app.audit_record import Act
from backend.app.database import Database
from backend.app.errors import ConfigurationError
from backend.app.models.dek import Dek
from backend.app.models.kek import Kek, KekState
from backend.app.repositories.audit_repository import SEQ_MIN, AuditRepository
from backend.app.services.crypto_service import CryptoService
from backend.app.services.key_check import KeyCheck
from backend.app.services.key_instances import KeyInstances
from backend.app.services.key_ring import KeyRing

AT = datetime(2026, 11, 21, tzinfo=UTC)


def now() -> datetime:
    return AT


async def start(database: Database, keys: str, instance: str = "one") -> CryptoService:
    ring = KeyRing.from_environment(keys)
    crypto = CryptoService(ring)
    await KeyCheck(database, ring, crypto, KeyInstances(ring, instance, now), now).unlock()
    return crypto


async def states(database: Database) -> dict[str, str]:
    async with database.snapshot() as session:
        found = await session.execute(select(Kek.kid, Kek.state))
        return {row.kid: row.state for row in found}


async def activations(database: Database) -> list[str]:
    async with database.snapshot() as session:
        page = await AuditRepository(session).page_after(SEQ_MIN)
    told = [json.loads(event.payload) for event in page]
    return [event["kid"] for event in told if event["act"] == Act.KEY_ACTIVATED]


def fingerprint(key: str) -> str:
    return KeyRing.from_environment(key).sealing.kcv.hex()


@pytest.fixture
def old() -> str:
    return f"old:{CryptoService.generate_key()}"


@pytest.fixture
def new() -> str:
    return f"new:{CryptoService.generate_key()}"


async def test_the_first_start_writes_its_key_down_and_unlocks(
    database: Database, old: str
) -> None:
    crypto = await start(database, old)

    assert len(crypto.key_fingerprint("okx", "key")) == 16
    assert await states(database) == {"old": KekState.ACTIVE}
    assert await activations(database) == ["old"]


async def test_the_next_start_finds_the_same_installation(database: Database, old: str) -> None:
    first = await start(database, old)
    second = await start(database, old)

    assert second.key_fingerprint("okx", "key") == first.key_fingerprint("okx", "key")
    assert await activations(database) == ["old"]


async def test_a_wrong_key_refuses_the_start(database: Database, old: str) -> None:
    await start(database, old)
    wrong = CryptoService.generate_key()

    with pytest.raises(ConfigurationError) as refused:
        await start(database, wrong)

    message = str(refused.value)
    assert f"key fingerprint {fingerprint(wrong)} does not open this database" in message
    assert f"sealed with {fingerprint(old)} (named old)" in message
    assert wrong not in message
    assert await states(database) == {"old": KekState.ACTIVE}


async def test_a_wrong_key_of_the_right_name_refuses_the_start(
    database: Database, old: str
) -> None:
    await start(database, old)

    with pytest.raises(ConfigurationError, match="does not open this database"):
        await start(database, f"old:{CryptoService.generate_key()}")


async def test_a_new_first_key_seals_and_the_old_one_opens(
    database: Database, old: str, new: str
) -> None:
    before = await start(database, old)
    after = await start(database, f"{new},{old}")

    assert after.key_fingerprint("okx", "key") == before.key_fingerprint("okx", "key")
    assert (await after.new_dek(7)).kid == "new"
    assert await states(database) == {"old": KekState.DECRYPT_ONLY, "new": KekState.ACTIVE}
    assert await activations(database) == ["old", "new"]


async def test_a_key_still_needed_cannot_be_left_out(
    database: Database, old: str, new: str
) -> None:
    await start(database, f"{new},{old}")
    await start(database, f"{old},{new}")

    with pytest.raises(ConfigurationError, match=f"sealed with {fingerprint(new)}"):
        await start(database, old)


async def test_a_key_nothing_needs_may_be_left_out(database: Database, old: str, new: str) -> None:
    await start(database, f"{old},{new}")

    crypto = await start(database, old)

    assert len(crypto.key_fingerprint("okx", "key")) == 16


async def test_the_name_of_another_key_refuses_the_start(
    database: Database, old: str, new: str
) -> None:
    await start(database, f"{old},{new}")

    with pytest.raises(ConfigurationError, match="the name new belongs to the key with"):
        await start(database, f"{old},new:{CryptoService.generate_key()}")


async def test_many_first_starts_at_once_agree(database: Database, old: str) -> None:
    started = await asyncio.gather(*(start(database, old) for _ in range(5)))

    assert len({crypto.key_fingerprint("okx", "key") for crypto in started}) == 1
    assert await activations(database) == ["old"]


@pytest.mark.parametrize(
    "damage",
    [
        {"wrapped": "kw1.local.old.gAAAAAdamaged"},
        {"kcv": bytes(8)},
    ],
)
async def test_a_damaged_installation_key_refuses_the_start(
    database: Database, old: str, damage: dict[str, str | bytes]
) -> None:
    await start(database, old)
    async with database.transaction() as session:
        await session.execute(update(Dek).values(**damage))

    with pytest.raises(ConfigurationError, match="its row in `deks` was changed"):
        await start(database, old)


async def test_a_refused_start_leaves_nothing_behind(
    database: Database, old: str, new: str
) -> None:
    await start(database, old)
    async with database.transaction() as session:
        await session.execute(text("UPDATE deks SET kcv = '\\x0000000000000000'"))

    with pytest.raises(ConfigurationError):
        await start(database, f"{new},{old}")

    assert await states(database) == {"old": KekState.ACTIVE}
    assert await activations(database) == ["old"]
