"""Load the whole house by Locust, then count the money: run by `make load`.

    python -m bench._load LOCUST [users seconds]

Starts a PostgreSQL, a settlement service and an API of its own, seeds a thousand merchants, and
lets as many users as asked for withdraw, repeat themselves and look. Fails on any failure, and if
what was acknowledged is not what is booked, or not what was paid out in the end, to the cent.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg

from backend.app.migrations import migrate
from backend.tests.support.databases import driver_url
from bench._support import api_environment, free_port, postgres, running, strongroom

_USERS = 500
_SECONDS = 120
_PAID_SECONDS_MAX = 120
_ROOT = Path(__file__).parents[1]
_HERE = _ROOT / "bench" / "locustfile.py"
_SEEDING = _ROOT / "scripts" / "seed_merchants.py"
_UNDER_WAY = "SELECT count(*) FROM withdrawals WHERE state NOT IN ('settled', 'failed')"
_PAID = "SELECT coalesce(sum(amount), 0) FROM settlements WHERE state = 'settled'"
_OVER_DRAWN = """
SELECT count(*) FROM ledger_accounts
WHERE (kind = 'merchant' AND (balance > credit_limit OR balance < 0))
OR (kind = 'pool' AND balance < 0)
"""


def main() -> int:
    """Load, print a summary, and say whether everything agrees."""
    locust, users, seconds = _asked(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="strongroom-load-") as name, postgres() as url:
        directory, port, bank = Path(name), free_port(), free_port()
        migrate(url)
        environment = {**api_environment(url, port), **_settlement_at(bank)}
        print("Seeding 1000 merchants ...", flush=True)
        _seed(directory, environment)
        settlement = running(_serve("settlement"), bank, "/readyz", environment)
        with settlement, running(_serve("api"), port, "/readyz", environment):
            print(f"{users} users for {seconds} s ...", flush=True)
            told = _loaded(locust, (users, seconds), port, directory)
            asyncio.run(_paid_out(url))
        proved = subprocess.run(
            strongroom("ledger", "prove"), env={**os.environ, **environment}, check=False
        )
        booked = asyncio.run(_booked(url))
    return _verdict(told, booked, proved.returncode)


def _serve(role: str) -> list[str]:
    return strongroom("serve", "--role", role)


def _settlement_at(port: int) -> dict[str, str]:
    return {
        "SETTLEMENT_PORT": str(port),
        "SETTLEMENT_URL": f"http://127.0.0.1:{port}",
        "SETTLEMENT_TOKEN": secrets.token_urlsafe(32),
    }


def _asked(words: list[str]) -> tuple[str, int, int]:
    locust, *figures = words
    users, seconds = [int(figure) for figure in figures] or (_USERS, _SECONDS)
    return locust, users, seconds


def _seed(directory: Path, environment: dict[str, str]) -> None:
    files = ["--credentials", directory / "logins", "--tokens", directory / "tokens"]
    subprocess.run(
        [sys.executable, _SEEDING, *files], env={**os.environ, **environment}, check=True
    )


def _loaded(locust: str, length: tuple[int, int], port: int, directory: Path) -> dict[str, Any]:
    users, seconds = length
    result = directory / "result.json"
    given = {
        "STRONGROOM_TOKENS": str(directory / "tokens"),
        "STRONGROOM_LOAD_RESULT": str(result),
    }
    run = [locust, "--headless", "--only-summary", "--loglevel", "WARNING"]
    load = ["--users", str(users), "--spawn-rate", str(max(users // 5, 1))]
    # Whoever has asked waits for the answer, so that nothing booked stays uncounted.
    until = ["--run-time", f"{seconds}s", "--stop-timeout", "180"]
    where = ["--host", f"http://127.0.0.1:{port}", "--locustfile", str(_HERE)]
    with (directory / "locust.log").open("wb") as log:
        subprocess.run(
            [*run, *load, *until, *where],
            env={**os.environ, **given},
            stdout=log,
            stderr=log,
            check=False,
        )
    if not result.exists():
        print((directory / "locust.log").read_text()[-2000:], file=sys.stderr)
        raise RuntimeError("locust has told nothing")
    return dict(json.loads(result.read_text()))


async def _paid_out(url: str) -> None:
    """Wait until nothing is under way any more: some callers were told that it is."""
    connection = await asyncpg.connect(driver_url(url))
    until = time.monotonic() + _PAID_SECONDS_MAX
    try:
        while rest := await connection.fetchval(_UNDER_WAY):
            if time.monotonic() > until:
                print(f"{rest} withdrawals are still not decided")
                return
            await asyncio.sleep(1)
    finally:
        await connection.close()


async def _booked(url: str) -> tuple[int, Decimal, Decimal, int]:
    connection = await asyncpg.connect(driver_url(url))
    try:
        count, amount = await connection.fetchrow(
            "SELECT count(*), coalesce(sum(amount), 0) FROM withdrawals"
        )
        paid = await connection.fetchval(_PAID)
        return count, amount, paid, await connection.fetchval(_OVER_DRAWN)
    finally:
        await connection.close()


def _verdict(told: dict[str, Any], booked: tuple[int, Decimal, Decimal, int], proved: int) -> int:
    print(f"\n{'':<28} {'requests':>9} {'/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'failures':>9}")
    for name, each in told["figures"].items():
        print(
            f"{name:<28} {each['requests']:>9} {each['per_second']:>8.0f} {each['p50_ms']:>8.0f}"
            f" {each['p99_ms']:>8.0f} {each['failures']:>9}"
        )
    for failure in told["failures"]:
        print(f"  {failure}")
    count, amount, paid, over_drawn = booked
    agrees = (told["booked"], Decimal(told["amount"])) == (count, amount) and paid == amount
    print(f"\nacknowledged: {told['booked']} withdrawals, {told['amount']}")
    print(f"booked:       {count} withdrawals, {amount:.2f}")
    print(f"paid out:     {paid:.2f}")
    print(f"refused: {told['refused'] or 'none'}; accounts over-drawn: {over_drawn}")
    well = agrees and not over_drawn and not proved and not told["failures"]
    print("Everything agrees to the cent." if well else "SOMETHING IS WRONG.")
    return 0 if well else 1


if __name__ == "__main__":
    raise SystemExit(main())
