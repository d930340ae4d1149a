"""A process killed while a message is on its way: another one delivers it, under the same id."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.enums import DeliveryState
from backend.app.services.webhook_delivery_service import CLAIM_LASTS
from backend.tests.conftest import HandClock
from backend.tests.support.people import person
from backend.tests.support.webhook_receiver import receiving
from backend.tests.support.webhooks import carry, deliveries, proves, quiet_house, tell, webhook

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CHILD = """
import asyncio, os
from pydantic import SecretStr
from backend.app.clock import utc_now
from backend.app.config import AuthSettings, VaultSettings
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.webhooks import carry, quiet_house
from dataclasses import replace

async def main():
    settings = replace(
        settings_for_tests(),
        vault=VaultSettings(encryption_key=SecretStr(os.environ["KEY"])),
        auth=AuthSettings(jwt_secret=SecretStr(os.environ["JWT"]), secure_cookies=False),
    )
    async with quiet_house(settings, os.environ["URL"], utc_now) as house:
        while True:
            await carry(house)
            await asyncio.sleep(0.05)

asyncio.run(main())
"""


@asynccontextmanager
async def courier_process(
    settings: Settings, url: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    key, jwt = settings.vault.encryption_key, settings.auth.jwt_secret
    assert key is not None
    assert jwt is not None
    environment = {
        "KEY": key.get_secret_value(),
        "JWT": jwt.get_secret_value(),
        "URL": url,
        "PYTHONPATH": str(ROOT),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_message_whose_courier_is_killed_arrives_all_the_same(
    settings: Settings, database_url: str, clock: HandClock
) -> None:
    clock.moment = utc_now()
    async with receiving() as receiver, quiet_house(settings, database_url, clock) as house:
        alice = await person(house, "alice")
        made = await webhook(house, alice, receiver.url)
        receiver.stalls = True
        async with courier_process(settings, database_url) as courier:
            await tell(house, alice)
            [lost] = await receiver.wait_for(1)
            courier.send_signal(signal.SIGKILL)
            await courier.wait()
        receiver.stalls = False

        clock.moment = utc_now()
        await carry(house)
        too_early = len(receiver.received)
        clock.moment += 2 * CLAIM_LASTS
        await carry(house)

        [delivery] = await deliveries(house, alice, made)
    assert too_early == 1
    assert [came.message_id for came in receiver.received] == [lost.message_id] * 2
    assert all(proves(came, made.secret) for came in receiver.received)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 1)
