"""Staged rotations in tests: pairs of keys, the steps, and what they leave behind."""

import json
import secrets
from dataclasses import replace
from typing import Any

from pydantic import SecretStr
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import Known, NotificationKind
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.verification import Verification
from backend.app.masking import mask_api_key
from backend.app.schemas.credential_schemas import Credential, CredentialCreate
from backend.app.schemas.rotation_schemas import Rotation, RotationStart, RotationTry
from backend.tests.support.fake_connector import GOOD_KEY, FakeConnector
from backend.tests.support.people import Person

TRADER = KeyInformation(can_read=Known.YES, can_trade=Known.YES, can_withdraw=Known.NO)
READER = replace(TRADER, can_trade=Known.NO)
WITHDRAWER = replace(TRADER, can_withdraw=Known.YES)


def says(known: KeyInformation | None) -> Verification:
    """Return a working verdict that tells these rights."""
    return replace(GOOD_KEY, key_information=known)


class TwoFacedConnector(FakeConnector):
    """Answers each key as it was told for that key, and the others as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.says = says(TRADER)
        self.of_key: dict[str, Verification] = {}

    async def verify(self, exchange: str, keys: Any) -> Verification:
        usual = await super().verify(exchange, keys)
        return self.of_key.get(keys.api_key, usual)


def pair(**other: Any) -> dict[str, Any]:
    """Return a new pair as the schemas take it."""
    return {
        "api_key": "K" + secrets.token_hex(16),
        "api_secret": SecretStr(secrets.token_hex(16)),
        **other,
    }


OLD = CredentialCreate(exchange_name="binance", **pair())


def new_pair(**other: Any) -> RotationStart:
    """Return what asks for a rotation to a new pair."""
    return RotationStart(**pair(**other))


async def rotate(
    services: Container, owner: Person, stored: Credential, asked: RotationStart | None = None
) -> Rotation:
    """Begin a rotation to the pair asked for, or to a new one."""
    return await services.rotations.start(
        owner.user_id, stored.id, asked or new_pair(), owner.caller
    )


async def resume(services: Container, owner: Person, stored: Credential, **asked: bool) -> Rotation:
    """Try the pending pair again."""
    return await services.rotations.resume(
        owner.user_id, stored.id, RotationTry(**asked), owner.caller
    )


async def restore(services: Container, owner: Person, stored: Credential) -> Rotation:
    """Put the previous pair into use again."""
    return await services.rotations.restore(owner.user_id, stored.id, owner.caller)


async def verify(services: Container, owner: Person, stored: Credential) -> None:
    """Try the pair in use at the exchange."""
    await services.credentials.verify(owner.user_id, stored.id, owner.caller)


async def keys_of(services: Container, owner: Person, stored: Credential) -> list[str | None]:
    """Return the masked keys: in use, pending, previous."""
    found = await services.rotations.show(owner.user_id, stored.id)
    return [
        version.api_key_masked if version is not None else None
        for version in (found.current, found.pending, found.previous)
    ]


async def rows(services: Container, sql: str) -> list[Any]:
    """Read beneath the repositories."""
    async with services.database.snapshot() as session:
        return list((await session.execute(text(sql))).all())


async def run(services: Container, sql: str) -> None:
    """Write beneath the repositories."""
    async with services.database.transaction() as session:
        await session.execute(text(sql))


async def open_deks(services: Container) -> int:
    """Return how many data keys of people still open something."""
    found = await rows(
        services, "SELECT count(*) FROM deks WHERE wrapped IS NOT NULL AND owner_id > 0"
    )
    return int(found[0][0])


async def audited(services: Container, act: str) -> list[dict[str, Any]]:
    """Return the events of one act, oldest first."""
    found = await rows(services, "SELECT payload FROM audit_events ORDER BY seq")
    events = [json.loads(payload) for (payload,) in found]
    return [event for event in events if event["act"] == act]


async def told(services: Container, owner: Person) -> list[NotificationKind]:
    """Return what the owner was notified of, newest first."""
    page = await services.notifications.page(owner.user_id, 200, None)
    return [event.kind for event in page.items]


def masked(asked: RotationStart | CredentialCreate) -> str:
    """Return the key of a pair as it is shown."""
    return mask_api_key(asked.api_key)
