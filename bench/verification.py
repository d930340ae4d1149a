"""What a verification costs over the bare requests it is made of.

    python -m bench.verification [rounds]

One verification through the connector against the same signed requests, sent by plain aiohttp on
a warm session in the same order; then eight at once while one exchange takes half a second.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import yarl

from backend.app.enums import Environment
from backend.app.exchanges.ccxt_client import CcxtClients
from backend.app.exchanges.ccxt_profiles import CCXT_PROFILES
from backend.app.exchanges.connector import Connector, ConnectorSettings, ExchangeKeys
from backend.app.exchanges.raw_answer import RawAnswer
from backend.app.exchanges.registry import SUPPORTED, dialect
from backend.app.exchanges.wire import SigningKeys, WireRequest
from backend.app.secret_value import SecretValue
from bench.sandbox_process import BenchSandbox, sandbox_process

_ROUNDS = 150
_WARM_UP = 10
_RATIO_GOAL = 3.0
_SLOW = "okx"
_SLOW_SECONDS = 0.5
_SLOW_RATIO_GOAL = 1.3

Chains = list[list[WireRequest]]
"""Requests of one chain follow each other; chains run side by side."""


@dataclass(frozen=True)
class _Figure:
    name: str
    ours_ms: float
    reference_ms: float
    goal: float

    def line(self) -> str:
        ratio = self.ours_ms / self.reference_ms
        met = "met" if ratio <= self.goal else "MISSED"
        return (
            f"{self.name:<34} {self.ours_ms:>8.2f} ms {self.reference_ms:>8.2f} ms"
            f" {ratio:>6.2f}x  goal <= {self.goal}x {met}"
        )


def _closed(keys: SigningKeys) -> ExchangeKeys:
    passphrase = None if keys.passphrase is None else SecretValue(keys.passphrase)
    return ExchangeKeys(keys.api_key, SecretValue(keys.api_secret), passphrase)


async def _chains(exchange: str, sandbox: BenchSandbox, session: aiohttp.ClientSession) -> Chains:
    """Learn which requests a verification makes, by making it once."""
    keys = sandbox.account(exchange).keys
    signer = await CcxtClients(sandbox.base_url).signer(exchange, keys)
    made: list[WireRequest] = []

    async def ask(method: str, **params: str) -> RawAnswer:
        signed = await signer.sign(method, params)
        url = urlsplit(signed.url)
        headers = {name.lower(): value for name, value in signed.headers.items()}
        path = url.path.removeprefix(f"/{exchange}")
        made.append(WireRequest(signed.method, path, url.query, headers))
        async with session.request(signed.method, signed.url, headers=headers) as answer:
            return RawAnswer.read(answer.status, await answer.read())

    profile = CCXT_PROFILES[exchange]
    known = await profile.key_information(ask, keys.api_key)
    about_key, made = made, []
    await profile.balances(ask, known)
    return [about_key + made] if profile.key_information_first else [about_key, made]


async def _raw(
    exchange: str, chains: Chains, sandbox: BenchSandbox, session: aiohttp.ClientSession
) -> None:
    keys, speaks = sandbox.account(exchange).keys, dialect(exchange)

    async def follow(chain: list[WireRequest]) -> None:
        for request in chain:
            signed = speaks.sign(request, keys, time.time_ns() // 1_000_000)
            query = f"?{signed.query}" if signed.query else ""
            url = yarl.URL(f"{sandbox.base_url}/{exchange}{signed.path}{query}", encoded=True)
            async with session.request(signed.method, url, headers=dict(signed.headers)) as answer:
                assert answer.status == 200, await answer.text()
                json.loads(await answer.text())

    await asyncio.gather(*(follow(chain) for chain in chains))


async def _alternate(
    rounds: int, ours: Callable[[], Awaitable[object]], reference: Callable[[], Awaitable[object]]
) -> tuple[float, float]:
    """Return the medians in milliseconds, measured turn by turn under the same weather."""
    spent: tuple[list[float], list[float]] = ([], [])
    for turn in range(_WARM_UP + rounds):
        for column, act in zip(spent, (ours, reference), strict=True):
            started = time.perf_counter()
            await act()
            if turn >= _WARM_UP:
                column.append((time.perf_counter() - started) * 1000)
    return statistics.median(spent[0]), statistics.median(spent[1])


async def _one_by_one(rounds: int) -> list[_Figure]:
    figures = []
    with sandbox_process() as sandbox:
        connector = Connector(ConnectorSettings(Environment.SANDBOX, sandbox.base_url))
        async with aiohttp.ClientSession() as session:
            for exchange in SUPPORTED:
                keys = _closed(sandbox.account(exchange).keys)
                chains = await _chains(exchange, sandbox, session)
                assert (await connector.verify(exchange, keys)).refusal is None
                ours, raw = await _alternate(
                    rounds,
                    lambda exchange=exchange, keys=keys: connector.verify(exchange, keys),
                    lambda exchange=exchange, chains=chains: _raw(
                        exchange, chains, sandbox, session
                    ),
                )
                count = sum(map(len, chains))
                figures.append(_Figure(f"{exchange}, {count} requests", ours, raw, _RATIO_GOAL))
        await connector.close()
    ours, raw = (
        statistics.mean(figure.ours_ms for figure in figures),
        statistics.mean(figure.reference_ms for figure in figures),
    )
    return [*figures, _Figure("mean of the eight", ours, raw, _RATIO_GOAL)]


async def _eight_at_once() -> _Figure:
    with sandbox_process(_SLOW, _SLOW_SECONDS) as sandbox:
        connector = Connector(ConnectorSettings(Environment.SANDBOX, sandbox.base_url))
        keys = {name: _closed(sandbox.account(name).keys) for name in SUPPORTED}
        for exchange in SUPPORTED:
            await connector.verify(exchange, keys[exchange])
        spent = []
        for _ in range(5):
            started = time.perf_counter()
            found = await asyncio.gather(*(connector.verify(e, keys[e]) for e in SUPPORTED))
            spent.append((time.perf_counter() - started) * 1000)
            assert all(one.refusal is None for one in found)
        await connector.close()
    name = f"eight at once, {_SLOW} {_SLOW_SECONDS * 1000:.0f} ms slow"
    return _Figure(name, statistics.median(spent), _SLOW_SECONDS * 1000, _SLOW_RATIO_GOAL)


async def _main(rounds: int) -> None:
    print(f"{'verification':<34} {'ours':>11} {'reference':>11} {'ratio':>7}")
    for figure in [*await _one_by_one(rounds), await _eight_at_once()]:
        print(figure.line())


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS))
