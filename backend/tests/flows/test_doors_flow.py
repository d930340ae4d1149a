"""A house of one process: exchanges' clients trade on its venue, and a kill loses nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import ccxt
import pytest

from backend.tests.support.ccxt_clients import lean_config, redirected

pytestmark = pytest.mark.slow

STRONGROOM = Path(sys.executable).with_name("strongroom")
PORTS = ("API_PORT", "SANDBOX_PORT", "PRICES_PORT", "SETTLEMENT_PORT")
SYMBOL = "BTC/USDT"


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def up(home: Path, database_url: str) -> Iterator[str]:
    """Run the whole house; yield where its sandbox is; kill it at the end."""
    variables = {name: free_port() for name in PORTS}
    variables |= {"PATH": os.environ["PATH"], "STRONGROOM_HOME": str(home)}
    with subprocess.Popen(
        [STRONGROOM, "up"],
        cwd=home,
        env={**variables, "DATABASE_URL": database_url},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Stop with Ctrl-C" in line:
                break
        found = re.search(r"sandbox\s+(http://\S+)", said)
        try:
            assert found, said
            yield found[1]
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def client(sandbox: str, exchange: str) -> Any:
    with urlopen(f"{sandbox}/control/accounts/{exchange}/full") as answer:
        key = json.load(answer)
    made = getattr(ccxt, exchange)(
        {
            "apiKey": key["api_key"],
            "secret": key["api_secret"],
            "password": key.get("passphrase"),
            "enableRateLimit": False,
            **lean_config(exchange),
        }
    )
    made.urls["api"] = redirected(made.urls["api"], f"{sandbox}/{exchange}")
    return made


def test_an_order_outlives_a_kill_and_is_filled_afterwards(
    tmp_path: Path, database_url: str
) -> None:
    with up(tmp_path, database_url) as sandbox:
        okx = client(sandbox, "okx")
        placed = okx.create_order(SYMBOL, "limit", "sell", 0.5, 64_000)
        held = okx.fetch_balance()["BTC"]

    with up(tmp_path, database_url) as sandbox:
        okx, bybit = client(sandbox, "okx"), client(sandbox, "bybit")
        [resting] = okx.fetch_open_orders(SYMBOL)
        held_again = okx.fetch_balance()["BTC"]
        bybit.create_order(SYMBOL, "limit", "buy", 0.5, 64_000)
        filled = okx.fetch_order(placed["id"], SYMBOL)
        [trade] = bybit.fetch_my_trades(SYMBOL)

    assert resting["id"] == placed["id"]
    assert held_again == held == {"free": 2, "used": 0.5, "total": 2.5}
    assert (filled["status"], filled["filled"]) == ("closed", 0.5)
    assert (trade["price"], trade["fee"]["cost"]) == (64_000, 0.0005)
