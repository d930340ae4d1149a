"""The live channel of a real process: the example client, and a stop with open connections."""

import asyncio
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect

from backend.app.channel_message import PRICES
from backend.app.clock import utc_now
from backend.app.config import AuthSettings, Settings
from backend.app.container import Container
from backend.tests.support.live_house import SECONDS_MAX, LiveClient, LiveHouse, live_house
from backend.tests.support.people import person

pytestmark = pytest.mark.slow

STRONGROOM = Path(sys.executable).with_name("strongroom")
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "live_client.py"
GRACE_SECONDS = 10
STOP_SECONDS_MAX = 60.0


@contextmanager
def served(
    url: str, settings: Settings, directory: Path
) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """`strongroom serve --role api` on this database, and its port, until the block ends."""
    encryption_key = settings.vault.encryption_key
    jwt_secret = settings.auth.jwt_secret
    assert encryption_key is not None
    assert jwt_secret is not None
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "ENCRYPTION_KEY": encryption_key.get_secret_value(),
        "JWT_SECRET": jwt_secret.get_secret_value(),
        "API_PORT": "0",
        "SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS),
    }
    command = [STRONGROOM, "serve", "--role", "api"]
    with subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process, _told_port(process)
        finally:
            if process.poll() is None:
                process.kill()


def _told_port(process: "subprocess.Popen[str]") -> int:
    said = ""
    for line in process.stdout or ():
        said += line
        if "Ctrl-C" in line:
            break
    found = re.search(r"api\s+http://\S+:(\d+)", said)
    assert found, said
    return int(found[1])


@asynccontextmanager
async def beside(url: str, settings: Settings) -> AsyncIterator[Container]:
    services = Container(settings, url, utc_now)
    await services.start()
    yield services
    await services.stop()


async def test_a_stop_tells_every_listener_and_keeps_nobody_waiting(
    database_url: str, settings: Settings, tmp_path: Path
) -> None:
    settings = replace(settings, auth=AuthSettings(jwt_secret=SecretStr(secrets.token_urlsafe(48))))
    async with beside(database_url, settings) as services:
        someone = await person(services, "someone")
        with served(database_url, settings, tmp_path) as (process, port):
            house = LiveHouse(services, port, None)  # type: ignore[arg-type]
            clients = [await house.client(someone) for _ in range(3)]
            await clients[0].subscribe("prices")
            async with connect(house.url, proxy=None) as silent:
                clients.append(LiveClient(silent))

                process.send_signal(signal.SIGTERM)
                codes = [await client.closed() for client in clients]
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    code = await asyncio.to_thread(process.wait)

    assert codes == [1012] * 4
    assert clients[0].socket.close_reason == "service-restart"
    assert code == 0


async def test_the_example_client_goes_on_where_a_line_broke(
    database_url: str, settings: Settings
) -> None:
    async with live_house(database_url, settings) as house:
        someone = await person(house.services, "someone")
        token = someone.headers["Authorization"].removeprefix("Bearer ")
        example = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLE),
            f"http://127.0.0.1:{house.port}",
            "prices",
            env={"PATH": os.environ["PATH"], "STRONGROOM_TOKEN": token},
            stdout=asyncio.subprocess.PIPE,
        )
        assert example.stdout is not None

        async def told() -> dict[str, object]:
            async with asyncio.timeout(SECONDS_MAX):
                return dict(json.loads(await example.stdout.readline()))

        begun = await told()
        await house.publish(PRICES, {"n": 1})
        before = await told()
        for connection in list(house.server.server_state.connections):
            connection.transport.abort()
        await house.publish(PRICES, {"n": 2}, {"n": 3})
        after = [await told(), await told()]
        example.kill()
        await example.wait()

    assert (begun["type"], begun["seq"]) == ("snapshot", 0)
    assert [each["seq"] for each in (before, *after)] == [1, 2, 3]
