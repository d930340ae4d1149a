"""`strongroom audit` as a process: on a database of one's own, and while `up` runs."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.app.config import Settings
from backend.app.container import Container
from backend.app.database import Database
from backend.tests.support.commands import strongroom
from backend.tests.support.ports import ANY_PORTS
from backend.tests.support.trail import append, event, tampered

STRONGROOM = Path(sys.executable).with_name("strongroom")
SECONDS_MAX = 120


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, **ANY_PORTS, "STRONGROOM_HOME": str(home / "kept"), **variables}


def audit(*words: str, home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return strongroom("audit", *words, cwd=home, env=environment(home, **variables))


@contextmanager
def up(home: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [STRONGROOM, "up"],
        cwd=home,
        env=environment(home),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        for line in process.stdout or ():
            if "Stop with Ctrl-C" in line:
                break
        try:
            yield process
        finally:
            process.terminate()
            process.wait(SECONDS_MAX)


@pytest.fixture
async def served(settings: Settings, database_url: str, database: Database) -> dict[str, str]:
    """The variables of an installation that has run and stopped: its trail is anchored."""
    service = Container(settings, database_url)
    await service.open()
    await service._anchors.tick()
    await append(database, *(event(n, user=n % 2) for n in range(6)))
    await service.stop()
    key = settings.vault.encryption_key
    assert key is not None
    return {"DATABASE_URL": database_url, "ENCRYPTION_KEY": key.get_secret_value()}


async def test_a_sound_trail_is_proved_in_one_line(tmp_path: Path, served: dict[str, str]) -> None:
    proved = audit("verify", "--deep", home=tmp_path, **served)

    assert (proved.returncode, proved.stderr) == (0, "")
    assert "is as it was written: " in proved.stdout
    assert "0 credentials" in proved.stdout
    assert len(proved.stdout.splitlines()) == 1


async def test_the_first_bad_event_is_named_in_one_line(
    tmp_path: Path, served: dict[str, str], database: Database
) -> None:
    await tampered(database, "UPDATE audit_events SET at = now() WHERE seq >= 3")

    proved = audit("verify", home=tmp_path, **served)

    assert proved.returncode == 1
    assert proved.stdout == (
        "The audit trail is NOT as it was written: "
        "event 3: payload, time or hash is not as it was written\n"
    )


async def test_an_auditor_needs_the_public_key_and_no_secret(
    tmp_path: Path, served: dict[str, str]
) -> None:
    public_key = audit("verify", home=tmp_path, **served).stdout.split()[-1]
    url = {"DATABASE_URL": served["DATABASE_URL"]}

    assert audit("verify", "--public-key", public_key, home=tmp_path, **url).returncode == 0
    assert audit("verify", "--public-key", "0" * 64, home=tmp_path, **url).returncode == 1
    without = audit("verify", home=tmp_path, **url)
    assert without.returncode == 2
    assert "ENCRYPTION_KEY" in without.stderr
    assert audit("verify", "--public-key", "short", home=tmp_path, **url).returncode == 2


async def test_events_are_written_to_standard_output(
    tmp_path: Path, served: dict[str, str]
) -> None:
    lines = audit("export", "--act", "user.changed", home=tmp_path, **served)
    table = audit("export", "--format", "csv", "--actor", "user:1", home=tmp_path, **served)

    assert [json.loads(line)["event"]["n"] for line in lines.stdout.splitlines()] == [*range(6)]
    assert [row["n"] for row in csv.DictReader(table.stdout.splitlines())] == ["1", "3", "5"]
    assert audit("export", "--act", "two words", home=tmp_path, **served).returncode == 2


@pytest.mark.slow
async def test_the_trail_is_proved_while_up_runs_and_after_it_stopped(tmp_path: Path) -> None:
    with up(tmp_path):
        running = audit("verify", "--deep", home=tmp_path)
    stopped = audit("verify", home=tmp_path)
    kept = tmp_path / "kept" / "audit-anchors.jsonl"
    elsewhere = audit("verify", "--anchors", str(kept), home=tmp_path)

    assert (running.returncode, running.stderr) == (0, "")
    assert (stopped.returncode, elsewhere.returncode) == (0, 0)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert len(kept.read_text().splitlines()) >= 1
