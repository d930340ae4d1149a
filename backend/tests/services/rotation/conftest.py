"""What every test of a rotation begins with: an exchange that says what it is told to."""

import pytest

from backend.app.container import Container
from backend.app.schemas.credential_schemas import Credential
from backend.tests.support.people import Person, person
from backend.tests.support.rotations import OLD, TwoFacedConnector


@pytest.fixture
def connector() -> TwoFacedConnector:
    return TwoFacedConnector()


@pytest.fixture(autouse=True)
async def no_keeper(services: Container) -> None:
    """Nothing is rolled back or ended but by the test, however long it takes."""
    await services._workers.stop()


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


@pytest.fixture
async def stored(services: Container, alice: Person) -> Credential:
    return await services.credentials.create(alice.user_id, OLD, alice.caller)
