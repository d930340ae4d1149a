"""How migrations reach the database: one connection, one lock, one transaction a migration."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from backend.app.database import async_url
from backend.app.errors import ConfigurationError
from backend.app.models.every import METADATA, is_ours

# Any number of instances may start at once: the first migrates, the others wait and find it done.
_LOCK = 7_305_518_231_004_001


def _migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=METADATA,
            include_name=is_ours,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
        connection.commit()


async def _run() -> None:
    # Past a pooler: the lock is one of the session.
    url = (
        context.config.attributes.get("url")
        or os.environ.get("DATABASE_DIRECT_URL")
        or os.environ.get("DATABASE_URL")
    )
    if not url:
        raise ConfigurationError("DATABASE_URL is not set: there is nothing to migrate.")
    engine = create_async_engine(async_url(url), poolclass=pool.NullPool, hide_parameters=True)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


asyncio.run(_run())
