"""A process killed between commit and answer: whatever it acknowledged is there, and chained."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend.app.audit_chain import verify_chain
from backend.app.database import Database
from backend.tests.support.trail import trail

pytestmark = pytest.mark.slow

KILLS = 4
WRITER = """
import asyncio, sys
from backend.app.audit_record import Act, Actor, ActorType, AuditRecord, Caller, Outcome
from backend.app.clock import utc_now
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.services.audit_service import AuditService

async def write(audit, number):
    while True:
        number += 100
        caller = Caller(Actor(ActorType.USER, 7))
        await audit.record(AuditRecord(
            act=Act.LOGIN, outcome=Outcome.DONE, caller=caller, at=utc_now(), n=number))
        print(number, flush=True)

async def main(url, start):
    audit = AuditService(AuditAppender(Database(url, DatabaseSettings(_env_file=None))))
    await audit.start()
    await asyncio.gather(*(write(audit, start + n) for n in range(16)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_what_was_acknowledged_before_a_kill_is_in_the_trail(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "writer.py").write_text(WRITER)
    acknowledged: list[int] = []

    for kill in range(1, KILLS + 1):
        with subprocess.Popen(
            [sys.executable, tmp_path / "writer.py", database_url, str(kill * 1_000_000)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            for line in writer.stdout or ():
                acknowledged.append(int(line))
                # In the midst of a group, at another place each time.
                if len(acknowledged) % (37 * kill) == 0:
                    writer.kill()
                    break
            acknowledged += [int(line) for line in writer.stdout or () if line.endswith("\n")]

    stored = await trail(database)
    assert len(acknowledged) >= 37 * KILLS
    assert set(acknowledged) <= {json.loads(event.payload)["n"] for event in stored}
    assert verify_chain(stored) is None
