"""What moving every data key to another root key costs, against COPY of the same rows.

    python -m bench.rewrap [url of a PostgreSQL server] [data keys]

On a database of its own on the given server (or `STRONGROOM_TEST_POSTGRES`), created and dropped
by this run. The reference is one COPY of the same rows, into the same table with its indexes. A
tenth of the size is measured first: a ratio that grows with the size would show.
"""

import asyncio
import os
import sys
import time
from typing import Any

from sqlalchemy import text

from backend.app.audit_record import SYSTEM
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.ids import new_id
from backend.app.services.envelope import DekContext, key_check_value, wrap_dek
from backend.app.services.key_rewrap import KeyRewrapping
from backend.app.services.key_ring import KeyRing
from backend.app.services.root_key import MasterKey
from backend.tests.support.databases import copy_of, make_template, server_connection
from backend.tests.support.vault_keys import AT, OWNER, new_key, now, opened, start

_KEYS = 100_000
_RATIO_GOAL = 30.0
_COLUMNS = ["dek_id", "owner_id", "kid", "wrapped", "kcv", "created_at"]


def _rows(ring: KeyRing, count: int) -> list[tuple[Any, ...]]:
    key = ring.sealing
    assert isinstance(key, MasterKey)
    rows = []
    for _ in range(count):
        dek_id, dek = new_id(), os.urandom(32)
        wrapped = wrap_dek(key.raw, DekContext(key.kid, dek_id, OWNER), dek)
        rows.append((dek_id, OWNER, key.kid, wrapped, key_check_value(dek), AT))
    return rows


async def _measure(server_url: str, template: str, count: int, *, judged: bool) -> None:
    async with copy_of(server_url, template) as url:
        database = Database(url, DatabaseSettings(_env_file=None))
        old, new = new_key("old"), new_key("new")
        rows = _rows(await start(database, old), count)
        async with server_connection(url) as connection:
            started = time.perf_counter()
            await connection.copy_records_to_table("deks", records=rows, columns=_COLUMNS)
            copy_seconds = time.perf_counter() - started
        async with database.transaction() as session:
            await session.execute(text("ANALYZE deks"))
        ring = await start(database, f"{new},{old}")
        started = time.perf_counter()
        async for _ in KeyRewrapping(database, ring, now).run(SYSTEM):
            pass
        seconds = time.perf_counter() - started
        deks = await opened(database, KeyRing.from_environment(new), [row[0] for row in rows])
        assert len(deks) == count
        await database.close()
    ratio = seconds / copy_seconds
    # The goal is for the full size: COPY of a tenth takes too short a time to compare with.
    goal = f"goal <= {_RATIO_GOAL:.0f}x {'met' if ratio <= _RATIO_GOAL else 'MISSED'}"
    print(
        f"rewrap of {count:>7,} data keys {seconds:>8.2f} s {copy_seconds:>8.2f} s {ratio:>6.1f}x"
        f"  {goal if judged else '':<17} ({count / seconds:,.0f} a second)"
    )


async def _compare(server_url: str, count: int) -> None:
    template = await make_template(server_url)
    for size in (count // 10, count):
        await _measure(server_url, template, size, judged=size == count)
    async with server_connection(server_url) as connection:
        await connection.execute(f"DROP DATABASE {template}")


def main() -> None:
    server_url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("STRONGROOM_TEST_POSTGRES")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else _KEYS
    if server_url:
        asyncio.run(_compare(server_url, count))
    else:
        print("rewrap: not measured, no server given")


if __name__ == "__main__":
    main()
