"""The command as a process: starting, being told no, being interrupted, being killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from backend.app.services.crypto_service import CryptoService
from backend.tests.support.commands import strongroom
from backend.tests.support.ports import ANY_PORTS, KeptPort
from backend.tests.support.postgres import cluster_url

pytestmark = pytest.mark.slow

STRONGROOM = Path(sys.executable).with_name("strongroom")
SECONDS_MAX = 120


class Begun(NamedTuple):
    """Where `strongroom up` runs, and what it said as it began."""

    home: Path
    said: str


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, **ANY_PORTS, "STRONGROOM_HOME": str(home / "kept"), **variables}


def run(*words: str, home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return strongroom(*words, cwd=home, env=environment(home, **variables))


@contextmanager
def up(home: Path, **variables: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`strongroom up` until it is ready, with what it said; killed at the end if it still runs."""
    with subprocess.Popen(
        [STRONGROOM, "up"],
        cwd=home,
        env=environment(home, **variables),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Stop with Ctrl-C" in line:
                break
        try:
            yield process, said
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def api_url(said: str) -> str:
    found = re.search(r"api\s+(http://\S+)", said)
    assert found, said
    return found[1]


def get(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS_MAX) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begun]:
    """For tests that leave it running as it is."""
    home = tmp_path_factory.mktemp("begun")
    with up(home) as (_, said):
        yield Begun(home, said)


def test_the_password_is_shown_at_the_first_start_only_and_can_be_reset(home: Path) -> None:
    with up(home) as (process, said):
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(SECONDS_MAX) == 0
    first = re.search(r"admin  (\S{16,})", said)

    reset = run("reset-password", "admin", home=home)
    with up(home) as (process, said_again):
        pass

    assert first
    assert reset.returncode == 0, reset.stderr
    assert re.fullmatch(r"\S{16,}\n", reset.stdout)
    assert "First start" not in said_again
    assert first[1] not in said_again + reset.stdout + reset.stderr


def test_secrets_are_readable_by_their_owner_alone(begun: Begun) -> None:
    kept = begun.home / "kept"

    assert (kept / "secrets.env").stat().st_mode & 0o077 == 0
    assert kept.stat().st_mode & 0o077 == 0


def test_ctrl_c_ends_everything_without_a_trace(home: Path) -> None:
    with KeptPort() as port:
        with up(home, API_PORT=str(port.number)) as (process, said):
            os.killpg(process.pid, signal.SIGINT)
            _, stderr = process.communicate(timeout=SECONDS_MAX)

        assert process.returncode == 0
        assert "Traceback" not in stderr
        with pytest.raises(urllib.error.URLError):
            get(f"{api_url(said)}/healthz")


def test_prices_come_along_on_a_port_of_their_own(begun: Begun) -> None:
    found = re.search(r"prices\s+(http://\S+)", begun.said)
    assert found, begun.said
    until = time.monotonic() + SECONDS_MAX
    # The first refresh runs beside the requests.
    while (status := get(f"{found[1]}/prices/btc-usdt")) != 200:
        assert status in {404, 503}
        assert time.monotonic() < until
        time.sleep(0.1)

    assert get(f"{found[1]}/docs") == 200


def test_after_a_kill_it_starts_again_and_serves(home: Path) -> None:
    with up(home) as (process, _):
        os.kill(process.pid, signal.SIGKILL)
        process.wait(SECONDS_MAX)

    with up(home) as (_, said):
        assert get(f"{api_url(said)}/readyz") == 200


def test_a_second_start_in_the_same_home_is_refused_plainly(begun: Begun) -> None:
    second = run("up", home=begun.home)

    assert second.returncode == 2
    assert "Traceback" not in second.stderr
    assert "in use by process" in second.stderr


def test_a_taken_port_is_told_before_a_database_is_started(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run("up", home=home, API_PORT=port)

    assert refused.returncode == 2
    assert port in refused.stderr
    assert "API_PORT" in refused.stderr
    assert not (home / "kept" / "postgres").exists()


def test_secrets_that_others_can_read_refuse_the_start(home: Path) -> None:
    kept = home / "kept"
    kept.mkdir(mode=0o700)
    (kept / "secrets.env").write_text("")
    (kept / "secrets.env").chmod(0o644)

    refused = run("up", home=home)

    assert refused.returncode == 2
    assert "chmod 600" in refused.stderr


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, ("DATABASE_URL", "strongroom up")),
        ({"DATABASE_URL": "mysql://somewhere/else"}, ("DATABASE_URL", "postgresql://")),
        (
            {"DATABASE_DIRECT_URL": "postgresql://past/the-pooler"},
            ("DATABASE_DIRECT_URL", "DATABASE_URL"),
        ),
        ({"API_PORT": "many"}, ("API_PORT",)),
        ({"EXCHANGE_MODE": "both"}, ("EXCHANGE_MODE",)),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    home: Path, variables: dict[str, str], told: tuple[str, ...]
) -> None:
    refused = run("serve", "--role", "api", home=home, **variables)

    assert refused.returncode == 2
    assert all(word in refused.stderr for word in told), refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ENCRYPTION_KEY", "", "generate_encryption_key.py"),
        ("ENCRYPTION_KEY", "too-short-to-be-a-key", "generate_encryption_key.py"),
        ("JWT_SECRET", "feeble", "32"),
        ("JWT_SECRET", "", "32"),
    ],
)
def test_a_missing_or_damaged_secret_refuses_the_start_and_is_not_shown(
    home: Path, variable: str, value: str, told: str
) -> None:
    good = {
        "DATABASE_URL": cluster_url(),
        "ENCRYPTION_KEY": CryptoService.generate_key(),
        "JWT_SECRET": "a secret of more than thirty-two bytes, for this test",
    }

    refused = run("serve", "--role", "api", home=home, **{**good, variable: value})

    assert refused.returncode == 2, refused.stderr
    assert variable in refused.stderr
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not value or value not in refused.stderr


def test_rehearsing_with_nothing_running_says_what_to_start(home: Path) -> None:
    with KeptPort() as port:
        url = f"http://127.0.0.1:{port.number}"
        refused = run("rehearse", "--url", url, "--sandbox-url", url, home=home)

    assert refused.returncode == 2
    assert "make run" in refused.stderr
