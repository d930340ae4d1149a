"""Somebody, a receiver, and a house between them."""

from collections.abc import AsyncIterator

import pytest

from backend.app.config import Settings
from backend.app.container import Container
from backend.tests.conftest import HandClock
from backend.tests.support.people import Person, person
from backend.tests.support.webhook_receiver import Receiver, receiving
from backend.tests.support.webhooks import quiet_house


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def house(
    settings: Settings, database_url: str, clock: HandClock
) -> AsyncIterator[Container]:
    async with quiet_house(settings, database_url, clock) as house:
        yield house


@pytest.fixture
async def alice(house: Container) -> Person:
    return await person(house, "alice")
