"""Reading the latest prices, warm, against a bare route with the same bytes.

python -m bench.prices

Nobody answers as a source here: what is measured is answering, of which a refresh is no part.
"""

import asyncio
import sys
import tempfile
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import asyncpg

from backend.app.migrations import migrate
from backend.tests.support.databases import driver_url
from bench._support import (
    Load,
    api_environment,
    bare_app,
    free_port,
    get,
    judged,
    load,
    middle,
    postgres,
    running,
    strongroom,
)

_CONNECTIONS = 32
_ROUNDS = 3
_RATIO_GOAL = 0.75
_SYMBOLS = 3
_MANY_SYMBOLS = 10 * _SYMBOLS


async def _fill(url: str, symbols: list[str]) -> None:
    connection = await asyncpg.connect(driver_url(url))
    assets = sorted({code for symbol in symbols for code in symbol.split("/")})
    await connection.execute(
        "INSERT INTO assets (code, name, base_precision) SELECT code, code, 8"
        " FROM unnest($1::text[]) AS code",
        assets,
    )
    await connection.execute(
        "INSERT INTO symbols SELECT 'binance', symbol, replace(symbol, '/', ''),"
        " split_part(symbol, '/', 1), split_part(symbol, '/', 2), 0.01, 0.0001, 5, true"
        " FROM unnest($1::text[]) AS symbol",
        symbols,
    )
    await connection.execute(
        "INSERT INTO latest_prices SELECT symbol, 64000.1 + length(symbol), 'binance', now(),"
        " now(), NULL, NULL, NULL, 0 FROM unnest($1::text[]) AS symbol",
        symbols,
    )
    await connection.close()


def _read(port: int, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, body
    return body


def _measure(targets: dict[str, tuple[int, str]], seconds: float) -> dict[str, Load]:
    """Load every target in turn, several times over, so that a busy moment hits all alike."""
    requests = {name: [get(path)] * _CONNECTIONS for name, (_, path) in targets.items()}
    for name, (port, _) in targets.items():
        load(port, requests[name], seconds / 2)
    rounds = [
        {name: load(port, requests[name], seconds) for name, (port, _) in targets.items()}
        for _ in range(_ROUNDS)
    ]
    return {name: middle([one[name] for one in rounds]) for name in targets}


def main(seconds: float) -> None:
    symbols = [f"A{number:02d}/USDT" for number in range(_MANY_SYMBOLS)]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres())
        migrate(url)
        asyncio.run(_fill(url, symbols))

        def prices(wanted: list[str]) -> int:
            port = free_port()
            environment = {
                **api_environment(url, free_port()),
                "PRICES_PORT": str(port),
                "SYMBOLS": ",".join(wanted),
                "BINANCE_BASE_URL": f"http://127.0.0.1:{free_port()}",
                "REFRESH_INTERVAL_SECONDS": "3600",
            }
            serve = strongroom("serve", "--role", "prices")
            stack.enter_context(running(serve, port, "/readyz", environment))
            return port

        def bare(like: int) -> int:
            port = free_port()
            body = directory / f"{port}.json"
            body.write_bytes(_read(like, "/prices"))
            stack.enter_context(running(bare_app(port, body), port, "/"))
            return port

        few, many = prices(symbols[:_SYMBOLS]), prices(symbols)
        found = _measure(
            {
                "bare": (bare(few), "/"),
                "few": (few, "/prices"),
                "one": (few, "/prices/A00USDT"),
                "bare, many": (bare(many), "/"),
                "many": (many, "/prices"),
            },
            seconds,
        )
    print(f"{'latest prices':<34} {'ours':>26} {'reference':>26} {'ratio':>7}")
    for name, ours, reference, goal in (
        (f"{_SYMBOLS} symbols", "few", "bare", _RATIO_GOAL),
        (f"{_MANY_SYMBOLS} symbols", "many", "bare, many", None),
        ("one symbol, by a typed name", "one", "bare", None),
    ):
        ratio = found[ours].per_second / found[reference].per_second
        verdict = judged(ratio, goal) if goal else f"{ratio:>6.2f}x"
        print(
            f"{name:<34} {found[ours].per_second:>7.0f}/s p99 {found[ours].p99_ms:>6.1f} ms"
            f" {found[reference].per_second:>7.0f}/s p99 {found[reference].p99_ms:>6.1f} ms"
            f" {verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
