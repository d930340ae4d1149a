"""The blocks of docs/sandbox.md, run as they stand but for the sandbox's port."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.app.sandbox.accounts import EXCHANGES
from backend.tests.support.sandbox import RunningSandbox, running_sandbox

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
SHELL = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SECONDS_MAX = 120


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


def ran(command: list[str], block: str, sandbox: RunningSandbox) -> str:
    finished = subprocess.run(
        [*command, block.replace("http://127.0.0.1:8200", sandbox.base_url)],
        env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def shell(sandbox: RunningSandbox, *blocks: str) -> list[str]:
    """Run blocks in one shell, as a reader would, and return what each one printed."""
    script = "\necho; echo =====\n".join(blocks)
    return ran(["bash", "-euo", "pipefail", "-c"], script, sandbox).split("\n=====\n")


def test_the_first_block_gives_a_key(sandbox: RunningSandbox) -> None:
    (said,) = shell(sandbox, SHELL[0])

    assert json.loads(said)["api_key"] == sandbox.account("okx", "full").keys.api_key


def test_the_python_block_trades_on_all_eight(sandbox: RunningSandbox) -> None:
    said = ran([sys.executable, "-c"], PYTHON[0], sandbox)

    assert [line.split()[:2] for line in said.splitlines()] == [[name, "buy"] for name in EXCHANGES]


def test_the_request_signed_by_hand_is_answered(sandbox: RunningSandbox) -> None:
    _, account = shell(sandbox, SHELL[0], SHELL[1])

    assert {line["asset"] for line in json.loads(account)["balances"]} >= {"BTC", "USDT"}


def test_the_faults_are_set_shown_and_cleared(sandbox: RunningSandbox) -> None:
    _, said = shell(sandbox, SHELL[0], SHELL[2])
    decoder = json.JSONDecoder()
    deck, end = decoder.raw_decode(said)
    shown, _ = decoder.raw_decode(said[end:])

    assert deck == shown
    assert [rule["fault"] for rule in shown["rules"]] == ["lost_reply", "throttle", "latency"]
    (after,) = shell(sandbox, f"curl -s {sandbox.base_url}/control/faults")
    assert json.loads(after)["rules"] == []
