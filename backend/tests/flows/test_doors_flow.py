"""A house of one process: exchanges' clients trade on its venue, and a kill loses nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import ccxt
import pytest

from backend.tests.support.ccxt_clients import lean_config, redirected
from backend.tests.support.ports import ANY_PORTS

pytestmark = pytest.mark.slow

STRONGROOM = Path(sys.executable).with_name("strongroom")
SYMBOL = "BTC/USDT"
SECONDS_MAX = 60


@contextmanager
def up(home: Path, database_url: str) -> Iterator[str]:
    """Run the whole house; yield where its sandbox is; kill it at the end."""
    variables = {**ANY_PORTS, "PATH": os.environ["PATH"], "STRONGROOM_HOME": str(home)}
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
    with urlopen(f"{sandbox}/control/accounts/{exchange}/full", timeout=SECONDS_MAX) as answer:
        key = json.load(answer)
    made = getattr(ccxt, exchange)(
        {
            "apiKey": key["api_key"],
            "secret": key["api_secret"],
            "password": key.get("passphrase"),
            "enableRateLimit": False,
            "timeout": SECONDS_MAX * 1000,
            **lean_config(exchange),
        }
    )
    made.options["recvWindow"] = SECONDS_MAX * 1000
    made.urls["api"] = redirected(made.urls["api"], f"{sandbox}/{exchange}")
    await_leader(made)
    return made


def await_leader(exchange: Any) -> None:
    """Wait until an engine leads: for less than that an exchange is away."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        try:
            exchange.fetch_open_orders(SYMBOL)
        except ccxt.ExchangeNotAvailable:
            assert time.monotonic() < until
        else:
            return


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
