"""`strongroom doctor`: everything the service stands on, a line each."""

import os
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend.app.clock import utc_now
from backend.app.commands.key_operations import command_settings
from backend.app.config import Settings, home_directory
from backend.app.database import Database
from backend.app.errors import ConfigurationError, StrongroomError
from backend.app.first_start import SECRETS_FILE
from backend.app.launch import reachable_database
from backend.app.migrations import newest_revision
from backend.app.services.key_inspection import inspect_keys
from backend.app.services.key_sources import build_key_ring, read_key_file

CLOCK_DIFFERENCE_SECONDS_MAX: Final = 2.0
FREE_BYTES_MIN: Final = 512 << 20
_CACHE_SECONDS_MAX: Final = 2.0
_DATABASE_VERSION_MIN: Final = 140000
_OTHERS: Final = 0o077
# What the promise "acknowledged is never lost" rests on.
_SETTINGS: Final = {"fsync": "on", "full_page_writes": "on"}
# Seconds a statement, and an idle transaction, may take: without them one that hangs holds locks.
_BOUNDS: Final = ("statement_timeout", "idle_in_transaction_session_timeout")
_NO_LOSS: Final = frozenset({"on", "local", "remote_write", "remote_apply"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is well, and what there is to know."""

    what: str
    well: bool
    words: str


async def examine() -> int:
    """Print a line for everything looked at; 1 if anything is wrong."""
    home = home_directory()
    console = Console(highlight=False, soft_wrap=True)
    ill = 0
    async for finding in _findings(home, command_settings(home)):
        ill += not finding.well
        console.print(f"{'ok   ' if finding.well else 'WRONG'}  {finding.what:<12} {finding.words}")
    console.print("Everything is well." if not ill else f"{ill} wrong.")
    return 1 if ill else 0


async def _findings(home: Path, settings: Settings) -> AsyncIterator[Finding]:
    for finding in (*_permissions(home, settings), _disk(home)):
        yield finding
    yield await _cache(settings)
    try:
        async with reachable_database(settings, home) as url:
            database = Database(url, settings.database)
            try:
                async for finding in _on_database(database, settings):
                    yield finding
            finally:
                await database.close()
    except (ConfigurationError, StrongroomError) as refusal:
        yield Finding("database", False, str(refusal))


async def _on_database(database: Database, settings: Settings) -> AsyncIterator[Finding]:
    yield await _server(database)
    if settings.database.database_direct_url is not None:
        yield await _pooler(database)
    yield await _clock(database)
    migration = await _migration(database)
    yield migration
    if not migration.well:
        yield Finding("keys", False, "not looked at: the database is in another form")
        return
    try:
        async for well, words in inspect_keys(database, build_key_ring(settings.vault)):
            yield Finding("keys", well, words)
    except (ConfigurationError, StrongroomError) as refusal:
        yield Finding("keys", False, str(refusal))


async def _server(database: Database) -> Finding:
    names = ("server_version_num", "server_version", "synchronous_commit", *_SETTINGS)
    async with database.snapshot() as session:
        shown = {name: await session.scalar(text(f"SHOW {name}")) for name in names}
    wrong = [f"{name} is {shown[name]}" for name, well in _SETTINGS.items() if shown[name] != well]
    if shown["synchronous_commit"] not in _NO_LOSS:
        wrong.append("synchronous_commit is off")
    if int(shown["server_version_num"] or 0) < _DATABASE_VERSION_MIN:
        wrong.append("older than version 14")
    words = f"PostgreSQL {shown['server_version']}" + "".join(f", {one}" for one in wrong)
    return Finding("database", not wrong, words)


async def _pooler(database: Database) -> Finding:
    """Look for what no client can set through a pooler, and go past it once."""
    async with database.snapshot() as session:
        endless = [name for name in _BOUNDS if await session.scalar(text(f"SHOW {name}")) == "0"]
    direct = await database.own_connection()
    direct.terminate()
    if endless:
        return Finding("pooler", False, f"no {', no '.join(endless)}: see connect_query, runbook")
    return Finding("pooler", True, "bounds what a statement takes; DATABASE_DIRECT_URL answers")


async def _clock(database: Database) -> Finding:
    async with database.snapshot() as session:
        asked_at, started = utc_now(), time.monotonic()
        told = await session.scalar(text("SELECT clock_timestamp()"))
        half_way = (time.monotonic() - started) / 2
    if told is None:
        return Finding("clock", False, "the database does not tell the time")
    difference = (told - asked_at).total_seconds() - half_way
    well = abs(difference) <= CLOCK_DIFFERENCE_SECONDS_MAX
    return Finding("clock", well, f"{difference:+.3f} s, the database's against ours")


async def _migration(database: Database) -> Finding:
    newest = newest_revision()
    try:
        async with database.snapshot() as session:
            found = await session.scalar(text("SELECT version_num FROM alembic_version"))
    except DBAPIError:
        found = None
    if found == newest:
        return Finding("migrations", True, f"at {found}, the newest")
    words = f"at {found or 'nothing'}, the newest is {newest}. Run: strongroom migrate"
    return Finding("migrations", False, words)


async def _cache(settings: Settings) -> Finding:
    secret = settings.cache.redis_url
    if secret is None:
        return Finding("cache", True, "in the process: REDIS_URL is not set")
    try:
        client = Redis.from_url(
            secret.get_secret_value(),
            socket_timeout=_CACHE_SECONDS_MAX,
            socket_connect_timeout=_CACHE_SECONDS_MAX,
        )
        async with client:
            await client.ping()
    except (RedisError, OSError, ValueError) as error:
        return Finding("cache", False, f"REDIS_URL does not answer ({type(error).__name__})")
    return Finding("cache", True, "REDIS_URL answers")


def _permissions(home: Path, settings: Settings) -> list[Finding]:
    found = [_private(path) for path in (home, home / SECRETS_FILE, Path(".env")) if path.exists()]
    if settings.vault.key_file is not None:
        try:
            read_key_file(settings.vault.key_file)
            found.append(Finding("permissions", True, f"{settings.vault.key_file} is ours alone"))
        except ConfigurationError as refusal:
            found.append(Finding("permissions", False, str(refusal)))
    return found


def _private(path: Path) -> Finding:
    found = path.stat()
    if found.st_uid != os.geteuid():
        return Finding("permissions", False, f"{path} belongs to user {found.st_uid}")
    if found.st_mode & _OTHERS:
        mode = "700" if path.is_dir() else "600"
        return Finding("permissions", False, f"{path} is open to others: chmod {mode} {path}")
    return Finding("permissions", True, f"{path} is ours alone")


def _disk(home: Path) -> Finding:
    place = home if home.exists() else Path.cwd()
    free = shutil.disk_usage(place).free
    return Finding("disk", free >= FREE_BYTES_MIN, f"{free >> 20} MiB free under {place}")
