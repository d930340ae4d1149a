"""The README's commands, run as they stand, in a fresh home."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backend.app.exchanges.registry import SUPPORTED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
READY_SECONDS_MAX = 120
COMMAND_SECONDS_MAX = 300
TURN_SECONDS_MAX = 900
BEGINNINGS = (
    "http://127.0.0.1:8100/prices/btc-usdt",
    "http://127.0.0.1:8000/api/v1/markets/BTC-USDT/book",
)

BLOCKS = re.findall(
    r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
)


def environment(home: Path) -> dict[str, str]:
    # The commands find the tools that run this test; `make` finds its installation done.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": path, "STRONGROOM_HOME": str(home), "COLUMNS": "100"}


def run(command: str, home: Path, typed: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env=environment(home),
        input=typed,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme") / "home"


@pytest.fixture(scope="module")
def usual_ports() -> Iterator[None]:
    """The ports of the README are one on a machine, also for the processes of one test run."""
    until = time.monotonic() + TURN_SECONDS_MAX
    with Path(tempfile.gettempdir(), "strongroom-readme.lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < until, "another README is being read for too long"
                time.sleep(0.1)
            else:
                break
        yield


@pytest.fixture(scope="module")
def running(home: Path, usual_ports: None) -> Iterator[list[str]]:
    """`make run`, as the README's first block says, until it is ready; then Ctrl-C."""
    with subprocess.Popen(
        ["bash", "-c", BLOCKS[0]],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "Stop with Ctrl-C" in line:
                break
        # A reader types slower than the first prices come and the venue opens.
        for beginning in BEGINNINGS:
            await_answer(beginning)
        yield said
        # What a terminal does on Ctrl-C: the whole foreground group is interrupted.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(READY_SECONDS_MAX)


def await_answer(url: str) -> None:
    """Wait until what begins beside the requests has begun."""
    until = time.monotonic() + READY_SECONDS_MAX
    while True:
        with (
            suppress(urllib.error.HTTPError),
            urllib.request.urlopen(url, timeout=READY_SECONDS_MAX),
        ):
            return
        assert time.monotonic() < until, url
        time.sleep(0.1)


def test_the_first_start_says_where_it_listens_and_shows_the_password_once(
    running: list[str],
) -> None:
    said = "".join(running)

    assert "http://127.0.0.1:8000" in said
    assert re.search(r"^  admin  \S{16,}$", said, re.MULTILINE)
    with urllib.request.urlopen("http://127.0.0.1:8000/readyz", timeout=60) as answer:
        assert json.load(answer) == {"status": "ready"}


def test_the_rehearsal_verifies_eight_keys(running: list[str], home: Path) -> None:
    rehearsed = run(BLOCKS[1], home)

    assert rehearsed.returncode == 0, rehearsed.stderr
    assert "8 of 8 keys bound and verified" in rehearsed.stdout


def test_the_requests_by_hand_do_what_the_readme_says(running: list[str], home: Path) -> None:
    by_hand, refused, more, with_key, prices, spot = BLOCKS[2:8]

    # One shell, as for a reader: the later blocks use what the first one set.
    parts = (by_hand, refused, more, with_key, prices, spot)
    ran = run("\necho; echo =====\n".join(parts), home)

    assert ran.returncode == 0, ran.stderr
    bound, refusal, rest, listed_with_key, told, traded = ran.stdout.split("=====\n")
    _person, *credentials = decoded(bound)
    assert [item["exchange_name"] for item in credentials] == list(SUPPORTED)
    assert all(credential["last_verified_at"] for credential in credentials)
    assert json.loads(refusal)["reason"] == "key_expired"
    listed, verified, tried = decoded(rest)
    assert [item["id"] for item in listed] == [item["id"] for item in credentials]
    assert verified["is_valid"]
    assert tried["passport"]["can_withdraw"] == "yes"
    listed_again, open_orders, portfolio = decoded(listed_with_key)
    assert [item["id"] for item in listed_again] == [item["id"] for item in listed]
    assert open_orders["orders"] == []
    assert [part["exchange_name"] for part in portfolio["parts"]] == list(SUPPORTED)
    assert portfolio["missing"] == []
    every, bitcoin, mine = decoded(told)
    assert [price["symbol"] for price in every["prices"]] == ["BTC/USDT", "ETH/BTC", "ETH/USDT"]
    assert (bitcoin["symbol"], bitcoin["source"]) == ("BTC/USDT", "binance")
    assert (mine["user"]["username"], mine["prices_available"]) == ("alice", True)
    market, put_in, order, book, wallets, cancelled, movements = decoded(traded)
    assert (market["symbol"], put_in["amount"], order["status"]) == ("BTC/USDT", "10000", "open")
    assert {"price": "1000.00", "quantity": "0.10000"} in book["bids"]
    assert [(each["available"], each["locked"]) for each in wallets] == [("9900", "100")]
    assert cancelled["cancelled"] == [order["id"]]
    assert {each["kind"] for each in movements["items"]} == {"deposit", "order", "cancel"}


def test_a_merchant_draws_on_credit_once_and_is_paid(running: list[str], home: Path) -> None:
    session = next(block for block in BLOCKS if "requested_credit" in block)
    password = re.search(r"^  admin  (\S{16,})$", "".join(running), re.MULTILINE)
    assert password is not None

    ran = run(session, home, typed=f"{password[1]}\n")

    assert ran.returncode == 0, ran.stderr
    approved, topped_up, drawn, drawn_again, me = decoded(ran.stdout)
    assert (approved["state"], approved["credit_limit"]) == ("active", "500.00")
    assert topped_up["available_amount"] == "10000.00"
    assert (drawn["state"], drawn["amount"]) == ("settled", "250.00")
    assert drawn_again == drawn
    assert (me["merchant"]["utilised"], me["merchant"]["available"]) == ("250.00", "250.00")


def test_the_test_command_is_the_one_that_ci_runs() -> None:
    assert "make test\n" in BLOCKS
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")


def decoded(text: str) -> list[Any]:
    """Return the JSON answers that stand one after the other."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found
