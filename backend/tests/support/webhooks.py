"""Houses whose couriers set out only when a test says so, and what their receivers check."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from standardwebhooks.webhooks import Webhook as Library

from backend.app.config import Settings, WebhookSettings
from backend.app.container import Container
from backend.app.database import Database
from backend.app.enums import NotificationKind, Role
from backend.app.models.notification_event import NotificationEvent
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.schemas.webhook_schemas import Delivery, WebhookCreate, WebhookMade
from backend.app.services.principal import Principal
from backend.app.workers.webhook_courier import WebhookCourier
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person
from backend.tests.support.webhook_receiver import Received


@asynccontextmanager
async def quiet_house(
    settings: Settings, url: str, clock: Callable[[], datetime]
) -> AsyncIterator[Container]:
    """Run a house without anything beside the requests; it may reach receivers on loopback."""
    settings = replace(settings, webhooks=WebhookSettings(webhook_allow_loopback=True))
    container = Container(settings, url, clock, FakeConnector())
    await container._key_check.unlock()
    await container.audit.start()
    try:
        yield container
    finally:
        await container.stop()


def principal_of(somebody: Person) -> Principal:
    """Return somebody as the services know who asks."""
    return Principal(somebody.user_id, somebody.username, Role.USER, somebody.session_id)


async def webhook(house: Container, owner: Person, url: str, **members: Any) -> WebhookMade:
    """Make a webhook of somebody."""
    asked = WebhookCreate(**{"name": "mine", "url": url, **members})
    return await house.notices.webhooks.create(principal_of(owner), asked)


async def tell(
    house: Container,
    owner: Person,
    kind: NotificationKind = NotificationKind.KEY_INVALID,
    **facts: Any,
) -> None:
    """Tell somebody something."""
    async with house.database.transaction() as session:
        event = NotificationEvent(
            user_id=owner.user_id, kind=kind.value, facts=facts, created_at=house.clock()
        )
        await NotificationRepository(session).add(event)


async def carry(house: Container) -> None:
    """Deliver what is due, once."""
    await WebhookCourier(house.notices.deliveries).tick()


async def deliveries(house: Container, owner: Person, made: WebhookMade) -> list[Delivery]:
    """Return what became of the messages to a webhook, the newest first."""
    page = await house.notices.webhooks.deliveries(principal_of(owner), made.id, 200, None)
    return page.items


def proves(received: Received, secret: str) -> bool:
    """Say whether a message is signed with a secret, as the library signs."""
    at = datetime.fromtimestamp(int(received.headers["webhook-timestamp"]), UTC)
    expected = Library(secret).sign(received.message_id, at, received.body.decode())
    return expected in received.headers["webhook-signature"].split(" ")


def told(received: Received) -> dict[str, Any]:
    """Return what a message says."""
    return dict(json.loads(received.body))


async def rows(database: Database, statement: str, **values: Any) -> list[Any]:
    """Return what a query finds."""
    async with database.snapshot() as session:
        return list((await session.execute(text(statement), values)).all())
