"""What `strongroom keys` does: on DATABASE_URL, or on the database that `up` keeps."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from backend.app.audit_record import Actor, ActorType, Caller
from backend.app.clock import utc_now
from backend.app.config import Settings, home_directory
from backend.app.database import Database
from backend.app.first_start import SECRETS_FILE, ensure_secrets
from backend.app.launch import reachable_database
from backend.app.schemas.key_schemas import DoomedKey, RootKeyInfo, RotationProgress
from backend.app.services.crypto_service import CryptoService
from backend.app.services.key_rewrap import KeyRewrapping
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_service import KeyService
from backend.app.services.key_sources import build_key_ring
from backend.app.services.key_verification import KeyVerification

OPERATOR: Final = Caller(Actor(ActorType.SYSTEM, "command-line"))
_DOTENV: Final = Path(".env")
_WIDTH_WITHOUT_TERMINAL: Final = 160


@dataclass(frozen=True)
class _House:
    """The database and the root keys, and nothing else of the service."""

    database: Database
    key_ring: KeyRing

    @property
    def keys(self) -> KeyService:
        return KeyService(self.database, self.key_ring, utc_now)


def command_settings(home: Path) -> Settings:
    """Read the settings as `up` or `serve` would, without making an installation."""
    files = [ensure_secrets(home)] if (home / SECRETS_FILE).exists() else []
    return Settings.load(*files, _DOTENV)


async def generate() -> int:
    """Print a new root key; what to do with it goes beside, where a pipe does not take it."""
    print(CryptoService.generate_key())  # noqa: T201 - the verb's result
    _console(to_stderr=True).print(
        "Put it first in ENCRYPTION_KEY of every instance, the old one after a comma: NEW,OLD.\n"
        "Start each instance again, then: strongroom keys rotate"
    )
    return 0


async def show() -> int:
    """Print a table of root keys."""
    async with _house() as house:
        table = Table("key", "state", "provider", "fingerprint", "data keys", "here", "instances")
        for key in await house.keys.list():
            table.add_row(*_cells(key))
    _console().print(table)
    return 0


async def rotate(kid: str | None) -> int:
    """Activate a root key and rewrap everything under it."""
    async with _house() as house:
        active = await house.keys.rotate(kid, OPERATOR)
        _console().print(f"{active} seals from now on.")
        return await _rewrap(house)


async def rewrap() -> int:
    """Rewrap everything under the active root key."""
    async with _house() as house:
        return await _rewrap(house)


async def verify(*, deep: bool) -> int:
    """Open everything; 1 if something does not open."""
    console = _console()
    async with _house() as house:
        found = await KeyVerification(house.database, house.key_ring, utc_now).run(
            OPERATOR, deep=deep
        )
    for one in found.unopened:
        console.print(f"{one.what} of user {one.owner_id} (data key {one.dek_id}, under {one.kid})")
    opened = f"{found.data_keys} data keys" + (f" and {found.fields} fields" if deep else "")
    console.print(f"{opened} tried; {len(found.unopened)} do not open.")
    return 1 if found.unopened else 0


async def retire(kid: str) -> int:
    """Take a root key out of use."""
    async with _house() as house:
        await house.keys.retire(kid, OPERATOR)
    _console().print(
        f"{kid} is retired. Remove it from the configuration of every instance. Backups made "
        "before now open with it alone: keep it as long as you keep them."
    )
    return 0


async def destroy(kid: str, *, early: bool, yes: bool) -> int:
    """Say what goes with a root key, ask, and write down that it is gone."""
    console = _console()
    async with _house() as house:
        doomed = await house.keys.doomed(kid, early=early)
        if doomed.destroyed_at is not None:
            console.print(f"{kid} was destroyed on {doomed.destroyed_at:%Y-%m-%d}.")
            return 0
        console.print(_lost_with(doomed))
        if not yes and not typer.confirm(f"Destroy {kid} for good?"):
            return 1
        await house.keys.destroy(kid, OPERATOR, early=early)
    console.print(
        f"{kid} is destroyed as far as this vault goes: it never seals again. Now delete the key "
        f"itself wherever it is kept: {_kept(doomed)}."
    )
    return 0


def _lost_with(doomed: DoomedKey) -> str:
    if doomed.activated_at is None:
        return f"{doomed.kid} never sealed anything; no backup needs it."
    return (
        f"Every secret in backups made from {doomed.activated_at:%Y-%m-%d %H:%M} to "
        f"{doomed.retired_at:%Y-%m-%d %H:%M} UTC becomes unreadable. The running vault needs "
        f"{doomed.kid} no more."
    )


def _kept(doomed: DoomedKey) -> str:
    where = doomed.provider_ref
    return f"{doomed.provider} {where}" if where else "copies of ENCRYPTION_KEY and of KEY_FILE"


async def _rewrap(house: _House) -> int:
    moved: dict[str, RotationProgress] = {}
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=_console(),
    )
    with bar:
        tasks: dict[str, int] = {}
        async for told in KeyRewrapping(house.database, house.key_ring, utc_now).run(OPERATOR):
            words, rate = f"{told.from_kid} -> {told.to_kid}", f"{told.rate_per_s or 0:.0f}/s"
            if words not in tasks:
                tasks[words] = int(bar.add_task(words, rate=rate))
            task = bar.task_ids[tasks[words]]
            bar.update(task, total=told.total, completed=told.done + told.failed, rate=rate)
            moved[words] = told
    for words, told in moved.items():
        _console().print(f"{words}: {told.done} moved, {told.failed} failed.")
    if not moved:
        _console().print("Every data key is under the root key that seals.")
    failed = any(told.failed or told.done < told.total for told in moved.values())
    if failed:
        _console().print("What failed is named by: strongroom keys verify")
    return 1 if failed else 0


@asynccontextmanager
async def _house() -> AsyncIterator[_House]:
    home = home_directory()
    settings = command_settings(home)
    key_ring = build_key_ring(settings.vault)
    async with reachable_database(settings, home) as url:
        database = Database(url, settings.database)
        try:
            yield _House(database, key_ring)
        finally:
            await database.close()


def _cells(key: RootKeyInfo) -> tuple[str, ...]:
    instances = len(key.held_by) + len(key.lacked_by)
    held = f"{len(key.held_by)} of {instances}"
    lacking = f", not {', '.join(key.lacked_by)}" if key.lacked_by else ""
    return (
        key.kid,
        key.state,
        key.provider if key.reference is None else f"{key.provider} {key.reference}",
        key.fingerprint,
        str(key.data_keys),
        "yes" if key.at_hand else "no",
        held + lacking,
    )


def _console(*, to_stderr: bool = False) -> Console:
    # Into a pipe nothing is cut: somebody reads it with another program.
    width = None if os.isatty(1) else _WIDTH_WITHOUT_TERMINAL
    return Console(highlight=False, soft_wrap=True, stderr=to_stderr, width=width)
