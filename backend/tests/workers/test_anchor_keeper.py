"""The keeper signs only what it has proved, often enough, and goes on where it was."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import exc, text

from backend.app.audit_anchor import ANCHOR_EVENTS_MAX, ANCHOR_SECONDS_MAX, Anchor
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.database import Database
from backend.app.errors import AuditTrailBroken
from backend.app.services.anchor_file import AnchorFile, anchors_in
from backend.app.services.audit_verification import AuditVerification
from backend.app.services.crypto_service import CryptoService
from backend.app.services.key_ring import KeyRing
from backend.app.workers.anchor_keeper import AnchorKeeper
from backend.tests.support.trail import AT, append, event, tampered


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def crypto() -> CryptoService:
    crypto = CryptoService(KeyRing.from_environment(CryptoService.generate_key()))
    await crypto.unlock(await crypto.new_dek(0))
    return crypto


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anchors.jsonl"


def keeper_on(
    database: Database, crypto: CryptoService, path: Path, seconds: Seconds
) -> AnchorKeeper:
    return AnchorKeeper(database, crypto, AnchorFile(path), lambda: AT, seconds)


@pytest.fixture
def keeper(database: Database, crypto: CryptoService, path: Path, seconds: Seconds) -> AnchorKeeper:
    return keeper_on(database, crypto, path, seconds)


async def anchored(database: Database) -> list[int]:
    async with database.snapshot() as session:
        return list(await session.scalars(text("SELECT seq FROM audit_anchors ORDER BY seq")))


async def test_a_few_events_are_anchored_after_ten_seconds_and_not_before(
    keeper: AnchorKeeper, database: Database, seconds: Seconds
) -> None:
    await append(database, event(1), event(2))
    await keeper.tick()
    assert await anchored(database) == []

    seconds.now += ANCHOR_SECONDS_MAX
    await keeper.tick()
    await keeper.tick()

    assert await anchored(database) == [2]


async def test_many_events_are_anchored_at_every_thousandth(
    keeper: AnchorKeeper, database: Database
) -> None:
    await append(database, *(event(n) for n in range(2 * ANCHOR_EVENTS_MAX + 5)))

    await keeper.tick()

    assert await anchored(database) == [ANCHOR_EVENTS_MAX, 2 * ANCHOR_EVENTS_MAX]


async def test_an_anchor_is_in_the_table_and_in_a_file_that_is_ours_alone(
    keeper: AnchorKeeper, database: Database, crypto: CryptoService, path: Path, seconds: Seconds
) -> None:
    await append(database, event(1))
    seconds.now += ANCHOR_SECONDS_MAX

    await keeper.tick()

    kept = list(anchors_in(path))
    assert [anchor.seq for anchor in kept] == [1]
    assert crypto.anchor_key().verifier.accepts(kept[0])
    assert path.stat().st_mode & 0o777 == 0o600
    proof = await AuditVerification(database, crypto.anchor_key().verifier, kept).run()
    assert (proof.finding, proof.anchors) == (None, 2)


async def test_a_stop_leaves_nothing_unanchored(keeper: AnchorKeeper, database: Database) -> None:
    await keeper.tick()
    await append(database, event(1), event(2), event(3))

    await keeper.finish()

    assert await anchored(database) == [3]


@pytest.mark.parametrize("change", ["at = now()", "hash = ''::bytea", "seq = 99"])
async def test_what_was_tampered_with_since_the_last_anchor_is_never_signed(
    keeper: AnchorKeeper, database: Database, seconds: Seconds, change: str
) -> None:
    await append(database, event(1), event(2), event(3))
    await tampered(database, f"UPDATE audit_events SET {change} WHERE seq = 2")
    seconds.now += ANCHOR_SECONDS_MAX

    with pytest.raises(AuditTrailBroken, match="2"):
        await keeper.tick()
    await keeper.finish()

    assert await anchored(database) == []


@pytest.mark.parametrize("where", ["table", "file"])
async def test_a_new_start_does_not_sign_what_contradicts_the_last_anchor(
    database: Database, crypto: CryptoService, path: Path, seconds: Seconds, where: str
) -> None:
    first = keeper_on(database, crypto, path, seconds)
    await append(database, event(1), event(2))
    await first.tick()
    await first.finish()
    if where == "table":
        path.unlink()
    else:
        await tampered(database, "DELETE FROM audit_anchors")
    await tampered(database, "UPDATE audit_events SET hash = sha256(hash) WHERE seq = 2")

    with pytest.raises(AuditTrailBroken, match="2"):
        await keeper_on(database, crypto, path, seconds).tick()


async def test_a_new_start_goes_on_from_the_last_anchor(
    database: Database, crypto: CryptoService, path: Path, seconds: Seconds
) -> None:
    first = keeper_on(database, crypto, path, seconds)
    await append(database, event(1), event(2))
    await first.tick()
    await first.finish()
    second = keeper_on(database, crypto, path, seconds)
    await append(database, event(3))
    await second.tick()
    seconds.now += ANCHOR_SECONDS_MAX
    await second.tick()

    assert await anchored(database) == [2, 3]


async def test_two_processes_take_each_others_anchors_over(
    database: Database, crypto: CryptoService, tmp_path: Path, seconds: Seconds
) -> None:
    one = keeper_on(database, crypto, tmp_path / "one", seconds)
    two = keeper_on(database, crypto, tmp_path / "two", seconds)
    await one.tick()
    await two.tick()
    await append(database, event(1))
    seconds.now += ANCHOR_SECONDS_MAX

    await one.tick()
    await two.tick()

    assert await anchored(database) == [1]
    assert not (tmp_path / "two").exists()


async def test_a_foreign_anchor_stops_the_keeper(
    keeper: AnchorKeeper, database: Database, crypto: CryptoService
) -> None:
    await keeper.tick()
    await append(database, event(1))
    await tampered(
        database,
        "INSERT INTO audit_anchors SELECT chain, seq, hash, at, decode(repeat('00', 64), 'hex') "
        "FROM audit_events",
    )

    with pytest.raises(AuditTrailBroken):
        await keeper.tick()


async def test_a_file_that_cannot_be_written_stops_nobody(
    database: Database, crypto: CryptoService, tmp_path: Path, seconds: Seconds
) -> None:
    keeper = keeper_on(database, crypto, tmp_path / "none" / "anchors", seconds)
    await append(database, event(1))
    await keeper.tick()

    await keeper.finish()

    assert await anchored(database) == [1]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_anchors SET at = now()", "DELETE FROM audit_anchors", "TRUNCATE audit_anchors"],
)
async def test_the_database_refuses_to_change_or_remove_an_anchor(
    database: Database, statement: str
) -> None:
    async def tamper() -> None:
        async with database.transaction() as session:
            await session.execute(text(statement))

    with pytest.raises(exc.DBAPIError, match="audit_anchors only grows"):
        await tamper()


async def test_a_service_that_stops_has_anchored_its_trail(
    settings: Settings, database: Database, database_url: str
) -> None:
    service = Container(settings, database_url)
    await service.start()
    async with asyncio.timeout(60):
        while service._anchors._proved is None:
            await asyncio.sleep(0.01)
    await append(database, event(1))

    await service.stop()

    async with database.snapshot() as session:
        head = await session.scalar(text("SELECT seq FROM audit_chain_heads"))
    assert (await anchored(database))[-1] == head


def test_a_line_of_a_log_and_a_line_of_the_file_are_read_alike() -> None:
    anchor = Anchor(7, bytes(range(32)), AT, bytes(range(64)))
    logged = json.dumps({"event": "audit_anchor", "anchor": anchor.line()})

    assert Anchor.read(anchor.line()) == anchor
    assert Anchor.read(logged) == anchor


@pytest.mark.parametrize(
    "line",
    ["", "{}", "[]", "7", "not json", '{"anchor": "{}"}', '{"seq": true}', "[" * 10_000],
)
def test_what_is_no_anchor_is_passed_over(line: str) -> None:
    assert Anchor.read(line) is None
