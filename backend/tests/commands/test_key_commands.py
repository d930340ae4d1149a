"""`strongroom keys` and `strongroom doctor` as processes, beside a running `up` and without."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.app.database import Database
from backend.app.services.crypto_service import CryptoService
from backend.tests.support.commands import strongroom
from backend.tests.support.ports import ANY_PORTS
from backend.tests.support.postgres import cluster_url
from backend.tests.support.vault_keys import add_data_keys, kids, new_key, start

STRONGROOM = Path(sys.executable).with_name("strongroom")
SECONDS_MAX = 120


def environment(home: Path, **variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "STRONGROOM_HOME": str(home / "kept"), **variables}


def run(*words: str, home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return strongroom(*words, cwd=home, env=environment(home, **variables))


@contextmanager
def up(home: Path) -> Iterator[None]:
    with subprocess.Popen(
        [STRONGROOM, "up"],
        cwd=home,
        env=environment(home, **ANY_PORTS),
        text=True,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Stop with Ctrl-C" in line:
                break
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(SECONDS_MAX)


def put_first(home: Path, key: str) -> None:
    secrets = home / "kept" / "secrets.env"
    secrets.write_text(secrets.read_text().replace("ENCRYPTION_KEY=", f"ENCRYPTION_KEY={key},"))


def only(home: Path, key: str) -> None:
    secrets = home / "kept" / "secrets.env"
    text = re.sub("ENCRYPTION_KEY=.*", f"ENCRYPTION_KEY={key}", secrets.read_text())
    secrets.write_text(text)


@pytest.mark.slow
def test_a_root_key_is_replaced_from_its_making_to_its_end(tmp_path: Path) -> None:
    with up(tmp_path):
        made = run("keys", "generate", home=tmp_path)
        listed = run("keys", "list", home=tmp_path)
        early = run("keys", "rotate", "new", home=tmp_path)
    key = made.stdout.strip()
    old = re.search(r"([0-9a-f]{8})\W+active", listed.stdout)
    assert made.returncode == listed.returncode == 0, listed.stderr
    assert old, listed.stdout
    assert "1 of 1" in listed.stdout
    assert early.returncode == 1
    assert "No root key new is known here" in early.stderr

    put_first(tmp_path, f"new:{key}")
    with up(tmp_path):
        still_needed = run("keys", "retire", old[1], home=tmp_path)
        rotated = run("keys", "rotate", home=tmp_path)
        verified = run("keys", "verify", "--deep", home=tmp_path)
        retired = run("keys", "retire", old[1], home=tmp_path)
        well = run("doctor", home=tmp_path)
    assert still_needed.returncode == 1
    assert f"1 data keys lie under {old[1]}" in still_needed.stderr
    assert rotated.returncode == 0, rotated.stderr
    assert f"{old[1]} -> new: 1 moved, 0 failed." in rotated.stdout
    assert "1 data keys and 0 fields tried; 0 do not open." in verified.stdout
    assert retired.returncode == 0, retired.stderr
    assert well.returncode == 0, well.stdout

    only(tmp_path, f"new:{key}")
    with up(tmp_path):
        done = run("keys", "list", home=tmp_path)
        too_early = run("keys", "destroy", old[1], home=tmp_path)
        unconfirmed = run("keys", "destroy", old[1], "--early", home=tmp_path)
        destroyed = run("keys", "destroy", old[1], "--early", "--yes", home=tmp_path)
        gone = run("keys", "list", home=tmp_path)
    assert too_early.returncode == 1
    assert "or say --early" in too_early.stderr
    assert unconfirmed.returncode == 1
    assert f"Destroy {old[1]} for good?" in unconfirmed.stdout
    assert destroyed.returncode == 0, destroyed.stderr
    assert "Every secret in backups made from 20" in destroyed.stdout
    assert re.search(rf"{old[1]}\W+destroyed", gone.stdout), gone.stdout
    assert re.search(rf"{old[1]}\W+retired", done.stdout), done.stdout
    assert re.search(r"new\W+active", done.stdout), done.stdout
    told = (listed, rotated, verified, retired, well, done)
    assert not any(key in each.stdout + each.stderr for each in told)


async def test_a_rewrap_shows_how_far_it_is_and_works_without_up(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    old, new = new_key("old"), new_key("new")
    await add_data_keys(database, await start(database, old), 1200)
    await start(database, f"{new},{old}")
    given = {"DATABASE_URL": database_url, "ENCRYPTION_KEY": f"{new},{old}"}

    moved = run("keys", "rewrap", home=tmp_path, **given)

    assert moved.returncode == 0, moved.stderr
    assert "old -> new: 1201 moved, 0 failed." in moved.stdout
    assert "1201/1201" in moved.stdout
    assert "/s" in moved.stdout
    assert await kids(database) == ["new"]
    assert not (tmp_path / "kept").exists()


async def test_what_does_not_open_is_named_and_the_verb_fails(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    key = new_key("only")
    deks = await add_data_keys(database, await start(database, key), 3)
    given = {"DATABASE_URL": database_url, "ENCRYPTION_KEY": key}
    broken = max(deks)
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE deks SET kcv = '\\x0000000000000000' WHERE dek_id = :id"), {"id": broken}
        )

    verified = run("keys", "verify", home=tmp_path, **given)

    assert verified.returncode == 1
    assert str(broken) in verified.stdout
    assert "4 data keys tried; 1 do not open." in verified.stdout


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"KEY_PROVIDER": "cloud"}, "KEY_PROVIDER"),
        ({"KEY_PROVIDER": "awskms"}, "AWSKMS_KEY_ID is not set"),
        ({"ENCRYPTION_KEY": "damaged"}, "Key number 1 of ENCRYPTION_KEY is damaged"),
        ({"DATABASE_URL": "postgresql://u:p@127.0.0.1:9/none"}, "database is not available"),
    ],
)
def test_what_cannot_be_used_is_named_without_a_traceback(
    tmp_path: Path, variables: dict[str, str], told: str
) -> None:
    good = {"DATABASE_URL": cluster_url(), "ENCRYPTION_KEY": CryptoService.generate_key()}

    refused = run("keys", "list", home=tmp_path, **{**good, **variables})

    assert refused.returncode in {1, 2}
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_doctor_names_everything_that_is_wrong(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await start(database, new_key("lost"))
    (tmp_path / ".env").write_text("LOG_LEVEL=INFO\n")
    (tmp_path / ".env").chmod(0o644)
    given = {
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEY": new_key("another"),
        "REDIS_URL": "redis://127.0.0.1:9/0",
    }

    ill = run("doctor", home=tmp_path, **given)

    assert ill.returncode == 1
    wrong = [line for line in ill.stdout.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 3, ill.stdout
    assert ".env is open to others: chmod 600" in wrong[0]
    assert "REDIS_URL does not answer" in wrong[1]
    assert "lost (fingerprint" in wrong[2]
    assert "3 wrong." in ill.stdout


def test_doctor_says_so_when_there_is_no_database(tmp_path: Path) -> None:
    ill = run(
        "doctor",
        home=tmp_path,
        DATABASE_URL="postgresql://u:p@127.0.0.1:9/none",
        ENCRYPTION_KEY=CryptoService.generate_key(),
    )

    assert ill.returncode == 1
    assert re.search(r"WRONG +database", ill.stdout)
    assert "Traceback" not in ill.stderr
