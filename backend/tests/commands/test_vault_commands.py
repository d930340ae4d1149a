"""`strongroom vault`: from one installation to another, as processes."""

import asyncio
import hashlib
import re
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backend.tests.support.databases import server_connection
from backend.tests.support.installations import (
    Ended,
    Installation,
    acts,
    everything,
    passphrase_of,
    running_installation,
    secret_of,
)
from backend.tests.support.leaks import found_in, published_by_children

NAMES = ("first", "second", "third")
SECRETS = {
    **{f"secret of {name}": secret_of(name).encode() for name in NAMES},
    **{f"passphrase of {name}": passphrase_of(name).encode() for name in NAMES},
}
WAIT_SECONDS_MAX = 240


@dataclass
class Pair:
    """Two installations that know nothing of each other, and a file between them."""

    there: Installation
    here: Installation
    file: Path
    said: list[str] = field(default_factory=list)

    async def recipient(self) -> str:
        return (await self.here.recipient_key()).recipient.text

    async def export(self, *words: str) -> Ended:
        to = await self.recipient()
        return self.kept(await self.there.run("vault", "export", self.file, "--to", to, *words))

    async def import_(self, *words: str) -> Ended:
        return self.kept(await self.here.run("vault", "import", self.file, *words))

    def kept(self, ended: Ended) -> Ended:
        self.said += [ended.stdout, ended.stderr]
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended


@pytest.fixture
async def pair(cluster_url: str, template_database: str, tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        there, here = [
            await stack.enter_async_context(
                running_installation(cluster_url, template_database, tmp_path / name)
            )
            for name in ("there", "here")
        ]
        yield Pair(there, here, tmp_path / "credentials.transfer")


@asynccontextmanager
async def held(house: Installation, locking: str) -> AsyncIterator[None]:
    """Hold what a query locks, however long a program takes to begin.

    A session of the house would be ended for its idleness meanwhile.
    """
    async with (
        server_connection(house.variables["DATABASE_URL"]) as connection,
        connection.transaction(),
    ):
        await connection.execute(locking)
        yield


async def held_up(house: Installation) -> None:
    """Return when a statement waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await house.rows(f"{waiting} AND wait_event_type = 'Lock'"):
            await asyncio.sleep(0.02)


async def test_credentials_go_from_one_installation_to_another(pair: Pair) -> None:
    alice, bob = await pair.there.somebody("alice"), await pair.there.somebody("bob")
    await pair.there.bind(alice, "okx", "first", label="Main [bold]ünit")
    await pair.there.bind(alice, "binance", "second")
    await pair.there.bind(bob, "kucoin", "third")
    # Ids and owners differ here, so nothing could open by where it lay.
    await pair.here.bind(await pair.here.somebody("stranger"), "okx", "fourth")
    for name in ("bob", "anna"):
        await pair.here.somebody(name)

    recipient = pair.kept(await pair.here.run("vault", "recipient"))
    exported = await pair.export()
    looked = await pair.import_("--check", "--user-map", "alice=anna")
    imported = await pair.import_("--user-map", "alice=anna")
    stored = await everything(pair.here)
    again = await pair.import_("--user-map", "alice=anna")
    unchanged = await everything(pair.here)

    assert recipient.stdout == f"{await pair.recipient()}\n"
    fingerprint = re.search(r"(?:[0-9a-f]{4} ){7}[0-9a-f]{4}", recipient.stderr)
    assert fingerprint
    assert f"For the recipient {fingerprint[0]}." in exported.stderr
    digest = hashlib.sha256(pair.file.read_bytes()).hexdigest()
    assert exported.stdout == f"3 credentials in {pair.file}, SHA-256 {digest}\n"
    assert stat.S_IMODE(pair.file.stat().st_mode) == 0o600
    assert digest in looked.stderr
    assert looked.stdout.splitlines() == [
        "anna (alice in the file) okx sandbox firs...-okx Main [bold]ünit: would be stored",
        "anna (alice in the file) binance sandbox seco...ance: would be stored",
        "bob kucoin sandbox thir...coin: would be stored",
        "3 would be stored, 0 here already, 0 left out: EXCHANGE_MODE is another.",
    ]
    assert imported.stdout.startswith("3 stored, 0 here already")
    assert await pair.here.opened("anna") == {
        "first-api-key-of-okx": (secret_of("first"), passphrase_of("first")),
        "second-api-key-of-binance": (secret_of("second"), None),
    }
    assert "anna (alice in the file) okx sandbox firs...-okx" in again.stdout
    assert "0 stored, 3 here already" in again.stdout
    assert unchanged == stored
    assert {ended.code for ended in (recipient, exported, looked, imported, again)} == {0}
    left = {str(path): path.read_bytes() for path in pair.file.parent.rglob("*") if path.is_file()}
    assert list(left) == [str(pair.file)]
    said = {"what was said": "\n".join(pair.said).encode()}
    assert found_in({**left, **said}, SECRETS) == []
    # The same search finds what is there.
    assert found_in({"planted": secret_of("first").encode()}, SECRETS)


async def test_what_cannot_be_exported_is_told_and_nothing_is_opened_or_left(pair: Pair) -> None:
    await pair.there.bind(await pair.there.somebody("alice"), "okx", "first")
    to = await pair.recipient()
    pair.file.write_text("precious")
    before = await acts(pair.there)

    there_already = await pair.export()
    mistyped = await pair.there.run("vault", "export", "new", "--to", to[:-1] + "0")
    nowhere = await pair.there.run("vault", "export", "/nonexistent/file", "--to", to)
    unknown = await pair.there.run("vault", "export", "new", "--to", to, "--user", "eve")

    assert "is there already and is not overwritten" in there_already.stderr
    assert "This is no recipient" in mistyped.stderr
    assert "/nonexistent/file cannot be written (No such file or directory)" in nowhere.stderr
    assert "Nobody here is called eve." in unknown.stderr
    assert [each.code for each in (there_already, mistyped, nowhere, unknown)] == [2, 2, 2, 1]
    assert pair.file.read_text() == "precious"
    assert await acts(pair.there) == before
    assert list(pair.there.home.iterdir()) == []


async def test_what_cannot_be_imported_is_told_and_nothing_is_written(pair: Pair) -> None:
    await pair.there.bind(await pair.there.somebody("alice"), "okx", "first")
    await pair.here.somebody("bob")
    pair.file.write_bytes(await pair.there.exported(pair.here))
    before = await everything(pair.here)

    unknown = await pair.import_()
    not_a_map = await pair.import_("--user-map", "alice")
    another = await pair.import_("--user-map", "alice=bob", "--sha256", "0" * 64)
    pair.file.write_bytes(pair.file.read_bytes()[:-1])
    cut_off = await pair.import_("--user-map", "alice=bob")
    pair.file.unlink()
    absent = await pair.import_()

    assert "Nobody here is called alice." in unknown.stderr
    assert "--user-map takes THERE=HERE" in not_a_map.stderr
    assert "does not have the SHA-256 that was asked for" in another.stderr
    assert "The file was cut off in the middle of line 4." in cut_off.stderr
    assert "cannot be read (No such file or directory)" in absent.stderr
    told = (unknown, not_a_map, another, cut_off, absent)
    assert [each.code for each in told] == [1, 2, 1, 1, 2]
    assert await everything(pair.here) == before


@pytest.mark.slow
async def test_an_import_that_is_killed_has_done_whole_owners_and_goes_on(pair: Pair) -> None:
    for user in ("alice", "bob", "carol"):
        owner = await pair.there.somebody(user)
        for name in NAMES:
            await pair.there.bind(owner, "okx", f"{name}-{user}")
    for user in ("alice", "bob", "carol"):
        await pair.here.somebody(user)
    pair.file.write_bytes(await pair.there.exported(pair.here))

    async with held(pair.here, "SELECT 1 FROM users WHERE username = 'bob' FOR UPDATE"):
        importing = await pair.here.begin("vault", "import", pair.file)
        await held_up(pair.here)
        published = published_by_children()
        importing.kill()
        await importing.communicate()
    killed = [list(await pair.here.opened(user)) for user in ("alice", "bob", "carol")]
    finished = await pair.import_()

    assert [len(held) for held in killed] == [3, 0, 0]
    assert "6 stored, 3 here already" in finished.stdout
    for user in ("alice", "bob", "carol"):
        opened = await pair.here.opened(user)
        assert {secret for secret, _ in opened.values()} == {
            secret_of(f"{name}-{user}") for name in NAMES
        }
    assert found_in({"its arguments and environment": published}, SECRETS) == []
    verified = await pair.here.run("audit", "verify", "--deep")
    assert verified.code == 0, verified.stdout


@pytest.mark.slow
async def test_an_export_that_is_killed_leaves_no_file_and_has_opened_nothing_in_secret(
    pair: Pair,
) -> None:
    await pair.there.bind(await pair.there.somebody("alice"), "okx", "first")

    # Nothing can be recorded, so nothing may be opened.
    async with held(pair.there, "SELECT 1 FROM audit_chain_heads FOR UPDATE"):
        exporting = await pair.there.begin(
            "vault", "export", pair.file, "--to", await pair.recipient()
        )
        await held_up(pair.there)
        exporting.kill()
        await exporting.communicate()
    told = [event["act"] for event in await acts(pair.there)]
    exported = await pair.export()

    assert "vault.exported" not in told
    assert "credential.used" not in told
    assert exported.code == 0
