"""The receiver in the documentation, as it stands, told by the house."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.tests.conftest import HandClock
from backend.tests.support.people import person
from backend.tests.support.ports import KeptPort
from backend.tests.support.webhooks import carry, deliveries, quiet_house, tell, webhook

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "webhook_receiver.py"


@pytest.fixture
def port() -> Iterator[int]:
    """Where it listens, which its webhook must know before it is started with its secret."""
    with KeptPort() as port:
        yield port.number


async def test_the_receiver_takes_what_is_proved_once_and_nothing_else(
    settings: Settings, database_url: str, clock: HandClock, port: int
) -> None:
    clock.moment = utc_now()
    url = f"http://127.0.0.1:{port}/"
    async with quiet_house(settings, database_url, clock) as house:
        alice = await person(house, "alice")
        made = await webhook(house, alice, url)
        receiver = await asyncio.create_subprocess_exec(
            *(sys.executable, EXAMPLE, str(port)),
            env={"WEBHOOK_SECRET": made.secret},
            stdout=asyncio.subprocess.PIPE,
        )
        assert receiver.stdout is not None
        try:
            listening = await receiver.stdout.readline()
            await tell(house, alice, reason="bad_signature")
            await carry(house)
            printed = await receiver.stdout.readline()
            async with (
                aiohttp.ClientSession() as stranger,
                stranger.post(url, data=b'{"type": "forged"}') as forged,
            ):
                refused = forged.status
        finally:
            receiver.kill()
            await receiver.wait()
        [delivery] = await deliveries(house, alice, made)

    assert re.fullmatch(rb"listening on port \d+\n", listening)
    assert printed.startswith(b"key_invalid {'id': ")
    assert b"bad_signature" in printed
    assert (delivery.last_status, refused) == (204, 401)
