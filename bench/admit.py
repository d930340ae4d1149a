"""What letting a request in costs with a platform key, over an access token.

    python -m bench.admit

Both are known already, as in nearly every request; no database is asked. A PostgreSQL of its own
is started and removed by this run.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from backend.app.container import Container
from backend.app.embedded import EmbeddedPostgres
from backend.app.services.request_signature import Asked
from backend.tests.support.api_keys import api_key
from backend.tests.support.databases import copy_of, make_template
from backend.tests.support.people import person
from backend.tests.support.settings import settings_for_tests

_CALLS = 2_000
_REPEATS = 7


async def _no_body() -> bytes:
    return b""


async def _microseconds(call: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    for _ in range(_CALLS):
        await call()
    return (time.perf_counter() - started) / _CALLS * 1e6


async def _measure(database_url: str) -> None:
    services = Container(settings_for_tests(), database_url)
    await services.start()
    alice = await person(services, "alice")
    key = (await api_key(services, alice)).api_key
    token = alice.headers["Authorization"]
    plainly = Asked("GET", b"/", None, None, None, _no_body)
    guards = services.guards

    def with_token() -> Awaitable[object]:
        return guards.sessions.admit(token, request_id="r", address="127.0.0.1")

    def with_key() -> Awaitable[object]:
        return guards.keys.admit(key, plainly, request_id="r", address="127.0.0.1")

    # In turns, so that a busy moment of the machine meets both.
    rounds = [
        (await _microseconds(with_token), await _microseconds(with_key)) for _ in range(_REPEATS)
    ]
    token_us, key_us = (min(times) for times in zip(*rounds, strict=True))
    ratio = key_us / token_us
    print(f"{'platform key, plain':<34} {key_us:>8.1f} us {token_us:>8.1f} us {ratio:>6.2f}x")
    await services.stop()


async def _run(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "postgres")
    server_url = await server.start()
    try:
        async with copy_of(server_url, await make_template(server_url)) as database_url:
            await _measure(database_url)
    finally:
        await server.stop()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as directory:
        asyncio.run(_run(Path(directory)))


if __name__ == "__main__":
    main()
