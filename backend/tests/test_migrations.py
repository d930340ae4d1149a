"""Migrations go up, agree with the models, come back and go up again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from backend.app.database import async_url
from backend.app.migrations import migrate, migrate_back
from backend.app.models.every import METADATA, is_ours
from backend.tests.support.databases import copy_of, make_template, server_connection


@pytest.fixture
async def empty_database(cluster_url: str) -> AsyncIterator[str]:
    async with copy_of(cluster_url, "template0") as url:
        yield url


@pytest.fixture
async def newest_database(cluster_url: str, template_database: str) -> AsyncIterator[str]:
    """A database that has been through all migrations."""
    async with copy_of(cluster_url, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def database_at_015(cluster_url: str) -> str:
    return asyncio.run(make_template(cluster_url, "015"))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(async_url(url))
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


async def differences(url: str) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours})
        return list(compare_metadata(context, METADATA))

    async with connected(url) as connection:
        return await connection.run_sync(compare)


async def run(url: str, sql: str) -> None:
    async with connected(url) as connection:
        await connection.execute(text(sql))


def revisions() -> list[str]:
    scripts = ScriptDirectory(str(Path(__file__).parents[2] / "alembic"))
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


async def test_the_migrations_build_what_the_models_say(newest_database: str) -> None:
    assert await differences(newest_database) == []


async def test_every_migration_goes_back_and_up_again(newest_database: str) -> None:
    for revision in ["base", *revisions()[:-1]][::-1]:
        await asyncio.to_thread(migrate_back, newest_database, revision)
    await asyncio.to_thread(migrate, newest_database)

    assert await differences(newest_database) == []


async def test_a_database_that_holds_people_is_not_taken_back_to_nothing(
    newest_database: str,
) -> None:
    await run(
        newest_database,
        "INSERT INTO users (username, email, hashed_password) VALUES ('a', 'a@example.com', 'x')",
    )

    with pytest.raises(RuntimeError, match="users is not empty"):
        await asyncio.to_thread(migrate_back, newest_database, "base")


async def test_credentials_stored_before_the_passport_are_there_after_it(
    empty_database: str,
) -> None:
    await asyncio.to_thread(migrate, empty_database, "001")
    await run(
        empty_database,
        "WITH person AS (INSERT INTO users (username, email, hashed_password)"
        "  VALUES ('a', 'a@example.com', 'x') RETURNING id),"
        " kek AS (INSERT INTO keks (kid, state, provider, kcv, created_at)"
        "  VALUES ('k', 'active', 'environment', '\\x00', now()) RETURNING kid),"
        " dek AS (INSERT INTO deks (dek_id, owner_id, kid, kcv, created_at)"
        "  SELECT gen_random_uuid(), person.id, kek.kid, '\\x00', now() FROM person, kek"
        "  RETURNING dek_id)"
        " INSERT INTO api_credentials (user_id, exchange_name, environment, api_key,"
        "  encrypted_api_secret, dek_id, key_fingerprint)"
        " SELECT person.id, 'okx', 'live', 'k', 's', dek.dek_id, '\\x00' FROM person, dek",
    )

    await asyncio.to_thread(migrate, empty_database)

    await run(
        empty_database,
        "DO $$ BEGIN ASSERT (SELECT count(*) = 1 FROM api_credentials"
        " WHERE passport IS NULL AND invalid_verdicts = 0 AND deactivated_at IS NULL); END $$",
    )


async def test_partitions_are_no_difference_from_the_models(newest_database: str) -> None:
    await run(
        newest_database,
        "CREATE TABLE ticks_2026_11_21 PARTITION OF ticks"
        " FOR VALUES FROM ('2026-11-21') TO ('2026-11-22')",
    )

    assert await differences(newest_database) == []


def candles_migration() -> Any:
    scripts = ScriptDirectory(str(Path(__file__).parents[2] / "alembic"))
    return scripts.get_revision("009").module


@pytest.mark.parametrize(
    ("installed", "available", "preloaded", "may_create", "expected"),
    [
        (True, True, False, False, True),
        (False, True, True, True, True),
        (False, True, True, False, False),
        (False, True, False, True, False),
        (False, False, True, True, False),
    ],
)
def test_hypertables_are_made_only_where_that_cannot_fail(
    installed: bool, available: bool, preloaded: bool, may_create: bool, expected: bool
) -> None:
    candles = candles_migration()
    facts = candles.TimescaleFacts(installed, available, preloaded, may_create)

    assert candles.uses_hypertables(facts) is expected


def test_both_tables_become_hypertables_with_the_indexes_they_have() -> None:
    create, check, *hypertables = candles_migration().hypertable_statements()

    assert create == "CREATE EXTENSION IF NOT EXISTS timescaledb"
    assert "interval IN ('1m', '5m', '15m', '1h', '4h', '1d')" in check
    assert [statement.split("'")[1::2] for statement in hypertables] == [
        ["ticks", "traded_at", "1 day"],
        ["candles", "open_time", "30 days"],
    ]


ORDERS_OF_BEFORE = """
INSERT INTO orders (id, account_id, instrument_id, side, price, quantity, executed_quantity,
    status, created_at, updated_at)
VALUES (1, 1, 1, 'sell', 250, 3, 2, 'open', now(), now()),
    (2, 2, 1, 'buy', 300, 1, 1, 'filled', now(), now()),
    (3, 2, 1, 'buy', 260, 1, 1, 'filled', now(), now()),
    (4, 3, 1, 'buy', 240, 1, 0, 'open', now(), now())
"""
TRADES_OF_BEFORE = """
INSERT INTO trades (instrument_id, id, maker_order_id, taker_order_id, taker_side, price, quantity,
    traded_at)
VALUES (1, 1, 1, 2, 'buy', 250, 1, now()), (1, 2, 1, 3, 'buy', 250, 1, now())
"""


async def test_orders_of_before_the_spot_market_know_what_they_traded_at(
    empty_database: str,
) -> None:
    await asyncio.to_thread(migrate, empty_database, "014")
    await run(empty_database, ORDERS_OF_BEFORE)
    await run(empty_database, TRADES_OF_BEFORE)

    await asyncio.to_thread(migrate, empty_database)

    async with server_connection(empty_database) as connection:
        rows = await connection.fetch(
            "SELECT status, executed_value, order_type, time_in_force FROM orders ORDER BY id"
        )
    assert [tuple(row) for row in rows] == [
        ("partially_filled", 500, "limit", "gtc"),
        ("filled", 250, "limit", "gtc"),
        ("filled", 250, "limit", "gtc"),
        ("open", 0, "limit", "gtc"),
    ]


@pytest.mark.parametrize(
    "kept",
    [
        "INSERT INTO venue_accounts (name, created_at) VALUES ('binance:full', now())",
        (
            "INSERT INTO ledger_accounts (kind, asset, venue_account_id, created_at)"
            " VALUES ('available', 'BTC', 1, now())"
        ),
        (
            "INSERT INTO venue_journal (shard, sequence, epoch, at, first_number, commands)"
            " VALUES (0, 1, 1, now(), 1, convert_to('{\"form\"\\:2}', 'UTF8'))"
        ),
    ],
)
async def test_a_venue_that_holds_more_than_cards_is_not_taken_back(
    cluster_url: str, database_at_015: str, kept: str
) -> None:
    async with copy_of(cluster_url, database_at_015) as url:
        await run(url, kept)

        with pytest.raises(RuntimeError, match="what came with 015"):
            await asyncio.to_thread(migrate_back, url, "014")
