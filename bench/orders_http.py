"""Spot orders over HTTP, one by one and a hundred at once, every answer after its commit.

python -m bench.orders_http [seconds of a round]

Single orders are held against a bare FastAPI route that reads the same order and answers ready
bytes; batches against the same batches handed to the engine without HTTP, on the same PostgreSQL.
Every second order takes what the one before has offered. Processor time is of the server, or of
the process with the engine: a second opinion that other work on the machine hardly touches.
"""

import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from typing import Any

import uvloop

from backend.app.clock import utc_now
from backend.app.config import DatabaseSettings, ServerSettings
from backend.app.database import Database
from backend.app.logs import configure_logging
from backend.app.migrations import migrate
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.schemas.order_schemas import OrderCreate
from backend.app.services.venue.desk import Known
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.order_rules import new_order
from backend.app.services.venue.spot_markets import SPOT_SHARD, ShardMarkets
from backend.app.venue.commands import MoveFunds, NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT
from bench._support import (
    Load,
    api_environment,
    bare_app,
    cpu_seconds,
    free_port,
    judged,
    load,
    middle,
    post,
    postgres,
    running,
    strongroom,
)

_ORDERS = "/api/v1/orders"
_PEOPLE = 16
_SINGLES_WAITING = 128
_BATCHES_WAITING = 8
_ORDERS_A_BATCH = 100
_ROUNDS = 3
_SINGLE_GOAL = 0.5
_BATCH_GOAL = 0.5
_FUNDS = {"BTC": 10_000_000, "USDT": 900_000_000}
_OFFERED = {"symbol": "BTC/USDT", "side": "sell", "price": "60000", "quantity": "0.001"}
_TAKEN = {**_OFFERED, "side": "buy"}
_BATCH = {"orders": [_OFFERED, _TAKEN] * (_ORDERS_A_BATCH // 2)}


def _ask(port: int, path: str, token: str | None = None, **body: Any) -> Any:
    headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(8)}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status in (200, 201), text
    return json.loads(text)


def _person(port: int, name: str) -> str:
    """Register somebody with funds and return the access token."""
    password = secrets.token_urlsafe(16)
    _ask(
        port, "/api/v1/auth/register",
        username=name, email=f"{name}@example.com", password=password,
    )  # fmt: skip
    token: str = _ask(port, "/api/v1/auth/token", username=name, password=password)["access"]
    for asset, amount in _FUNDS.items():
        _ask(port, "/api/v1/wallets/deposits", token, asset=asset, amount=str(amount))
    return token


def _per_connection(waiting: int, tokens: Sequence[str], *bodies: Any) -> list[list[bytes]]:
    path = _ORDERS if bodies[0] is not _BATCH else f"{_ORDERS}/batch"
    return [
        [post(path, body, tokens[number % len(tokens)]) for body in bodies]
        for number in range(waiting)
    ]


@dataclass(frozen=True)
class _Found:
    """What the load has shown, and what an answer cost the process that gave it."""

    load: Load
    cpu_us: float


def _served(process: int, port: int, requests: Sequence[Any], seconds: float) -> _Found:
    before = cpu_seconds(process)
    shown = load(port, requests, seconds)
    spent = cpu_seconds(process) - before
    return _Found(shown, spent / (shown.per_second * seconds) * 1e6)


class _Engine:
    """The engine in this process, asked without HTTP."""

    def __init__(self, engine: VenueEngine, order: tuple[NewOrder, NewOrder]) -> None:
        self._engine = engine
        self._order = order

    async def load(self, waiting: int, orders_each: int, seconds: float) -> _Found:
        """Keep so many callers busy for a while, each with so many orders at once."""
        waits_ms: list[float] = []
        started, started_cpu = time.perf_counter(), time.process_time()

        async def caller(number: int) -> None:
            pair = [each._replace(account_id=1 + number % _PEOPLE) for each in self._order]
            while time.perf_counter() < started + seconds:
                asked_at = time.perf_counter()
                if orders_each == 1:
                    answers = await self._engine.carry_out((pair[0],))
                    pair.reverse()
                else:
                    answers = await self._engine.carry_out(pair * (orders_each // 2))
                assert all(isinstance(each, Known) for each in answers), answers
                waits_ms.append((time.perf_counter() - asked_at) * 1000)

        await asyncio.gather(*(caller(number) for number in range(waiting)))
        elapsed, spent = time.perf_counter() - started, time.process_time() - started_cpu
        cuts = quantiles(waits_ms, n=100)
        shown = Load(len(waits_ms) / elapsed, cuts[49], cuts[98])
        return _Found(shown, spent / len(waits_ms) * 1e6)


@asynccontextmanager
async def _engine(url: str) -> AsyncIterator[_Engine]:
    database = Database(url, DatabaseSettings(_env_file=None))
    engine = VenueEngine(VenueLedger(database, SPOT_SHARD), utc_now)
    leading = asyncio.create_task(engine.tick())
    await engine.led()
    market = (await ShardMarkets(database, utc_now).all()).find("BTC/USDT")
    assert market is not None
    offered, taken = (
        new_order(1, market, OrderCreate.model_validate(each)) for each in (_OFFERED, _TAKEN)
    )
    await engine.carry_out(
        [
            MoveFunds(account, asset, amount * ATOMS_PER_UNIT, asset)
            for account in range(1, _PEOPLE + 1)
            for asset, amount in _FUNDS.items()
        ]
    )
    yield _Engine(engine, (offered, taken))
    await engine.stop()
    leading.cancel()
    with suppress(asyncio.CancelledError):
        await leading
    await database.close()


async def _in_process(url: str, seconds: float) -> dict[str, _Found]:
    async with _engine(url) as engine:
        return {
            "engine, single": await engine.load(_SINGLES_WAITING, 1, seconds),
            "engine, batches": await engine.load(_BATCHES_WAITING, _ORDERS_A_BATCH, seconds),
        }


@dataclass(frozen=True)
class _Server:
    port: int
    process: int


def _round(
    ours: _Server, bare: _Server, url: str, tokens: Sequence[str], seconds: float
) -> dict[str, _Found]:
    singles = _per_connection(_SINGLES_WAITING, tokens, _OFFERED, _TAKEN)
    batches = _per_connection(_BATCHES_WAITING, tokens, _BATCH)
    plain = [post("/", _OFFERED)] * _SINGLES_WAITING
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return {
            "bare": _served(bare.process, bare.port, plain, seconds),
            "single": _served(ours.process, ours.port, singles, seconds),
            "batches": _served(ours.process, ours.port, batches, seconds),
            **runner.run(_in_process(url, seconds)),
        }


def _middle(rounds: Sequence[_Found]) -> _Found:
    return _Found(middle([each.load for each in rounds]), min(each.cpu_us for each in rounds))


def _told(found: _Found, orders: int) -> str:
    rate = f"{found.load.per_second * orders:>7,.0f}/s"
    waits = f"p50 {found.load.p50_ms:>4.0f} p99 {found.load.p99_ms:>4.0f} ms"
    return f"{rate} {waits} {found.cpu_us / orders:>4.0f} us"


def _report(found: dict[str, _Found]) -> None:
    def line(name: str, ours: str, reference: str, goal: float | None, orders: int = 1) -> None:
        a, b = found[ours], found[reference]
        ratio = a.load.per_second / b.load.per_second
        verdict = f"{ratio:>6.2f}x" if goal is None else judged(ratio, goal)
        print(f"{name:<36} {_told(a, orders)} {_told(b, orders)} {verdict}")
        print(f"{'  the same by processor time':<109} {b.cpu_us / a.cpu_us:>6.2f}x", flush=True)

    line(f"single, {_SINGLES_WAITING} waiting, to a bare route", "single", "bare", _SINGLE_GOAL)
    line("single, to the engine alone", "single", "engine, single", None)
    line(
        f"by {_ORDERS_A_BATCH}, to the engine alone",
        "batches",
        "engine, batches",
        _BATCH_GOAL,
        _ORDERS_A_BATCH,
    )


def main(seconds: float) -> None:
    configure_logging(ServerSettings(log_level="WARNING", _env_file=None))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, engine_url = (stack.enter_context(postgres()) for _ in range(2))
        migrate(url)
        migrate(engine_url)
        port, bare_port = free_port(), free_port()
        serve, environment = strongroom("serve", "--role", "api"), api_environment(url, port)
        api = stack.enter_context(running(serve, port, "/readyz", environment))
        tokens = [_person(port, f"person{number}") for number in range(_PEOPLE)]
        body = directory / "body.json"
        body.write_text(json.dumps(_ask(port, _ORDERS, tokens[0], **_OFFERED)))
        plain = stack.enter_context(running(bare_app(bare_port, body), bare_port, "/"))
        ours, bare = _Server(port, api.pid), _Server(bare_port, plain.pid)
        _round(ours, bare, engine_url, tokens, seconds / 3)
        rounds = [_round(ours, bare, engine_url, tokens, seconds) for _ in range(_ROUNDS)]
        print(f"{'':<36} {'ours':>36} {'reference':>36}")
        _report({name: _middle([each[name] for each in rounds]) for name in rounds[0]})


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
