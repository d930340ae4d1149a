"""The keeper of rotations does both of its tasks in one round."""

import secrets

import pytest
from pydantic import SecretStr

from backend.app.container import Container
from backend.app.exchanges.reasons import Reason
from backend.app.schemas.credential_schemas import CredentialCreate
from backend.app.schemas.rotation_schemas import RotationStart
from backend.app.services.rotation_rows import VERSION_KEPT_FOR
from backend.app.workers.rotation_keeper import RotationKeeper
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import GOOD_KEY, FakeConnector, refused
from backend.tests.support.people import person


@pytest.fixture
def connector() -> FakeConnector:
    return FakeConnector()


def pair() -> dict[str, object]:
    return {"api_key": secrets.token_hex(16), "api_secret": SecretStr(secrets.token_hex(16))}


async def test_a_round_rolls_back_what_is_due_and_ends_what_is_over(
    services: Container, connector: FakeConnector, clock: HandClock
) -> None:
    alice = await person(services, "alice")
    me = (alice.user_id, alice.caller)
    asked = CredentialCreate.model_validate({"exchange_name": "binance", **pair()})
    stored = await services.credentials.create(me[0], asked, me[1])
    new = RotationStart.model_validate(pair())
    await services.rotations.start(me[0], stored.id, new, me[1])
    connector.says = refused(Reason.INVALID_KEY)
    await services.credentials.verify(me[0], stored.id, me[1])
    connector.says = GOOD_KEY
    keeper = RotationKeeper(services.rotation_upkeep)

    await keeper.tick()
    rolled_back = await services.rotations.show(me[0], stored.id)
    clock.moment += VERSION_KEPT_FOR
    await keeper.tick()
    await keeper.close()

    assert rolled_back.current.api_key_masked == stored.api_key_masked
    assert rolled_back.previous is not None
    assert (await services.rotations.show(me[0], stored.id)).previous is None
