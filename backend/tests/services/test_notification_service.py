"""Notifications: listed, counted, marked as read, and told live in the same transaction."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.channel_message import ADMINISTRATORS_NOTIFICATIONS, notifications_channel
from backend.app.container import Container
from backend.app.database import Database
from backend.app.models.notification_event import NotificationEvent
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.repositories.notification_repository import (
    NOTIFICATIONS_KEPT_MAX,
    NotificationRepository,
)
from backend.tests.support.people import Person, person
from backend.tests.support.webhooks import rows

LIST = "/api/v1/notifications"


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


def event(services: Container, user_id: int | None, n: int = 0) -> NotificationEvent:
    return NotificationEvent(
        user_id=user_id, kind="key_invalid", facts={"n": n}, created_at=services.clock()
    )


async def add(services: Container, *events: NotificationEvent) -> None:
    async with services.database.transaction() as session:
        await NotificationRepository(session).add(*events)


async def heard(database: Database, channel: str) -> list[Any]:
    async with database.snapshot() as session:
        found = await ChannelRepository(session).after({channel: 0}, 2_000)
    return [message.body["facts"]["n"] for message in found]


async def test_only_unread_ones_are_listed_if_asked_and_always_counted(
    client: AsyncClient, services: Container, alice: Person
) -> None:
    events = [event(services, alice.user_id, n) for n in range(4)]
    await add(services, *events)
    await client.post(f"{LIST}/{events[1].id}/read", headers=alice.headers)

    answer = await client.get(LIST, params={"unread": True, "limit": 2}, headers=alice.headers)
    rest = await client.get(
        LIST,
        params={"unread": True, "cursor": answer.json()["next_cursor"]},
        headers=alice.headers,
    )

    shown = [item["facts"]["n"] for item in answer.json()["items"] + rest.json()["items"]]
    assert (shown, answer.json()["unread"], rest.json()["unread"]) == ([3, 2, 0], 3, 3)


async def test_all_are_marked_read_up_to_the_newest_that_was_seen(
    client: AsyncClient, services: Container, alice: Person
) -> None:
    bob = await person(services, "bob")
    events = [event(services, alice.user_id, n) for n in range(3)]
    await add(services, *events, event(services, bob.user_id))

    some = await client.post(
        f"{LIST}/read-all", params={"up_to": events[1].id}, headers=alice.headers
    )
    left = await client.get(LIST, headers=alice.headers)
    rest = await client.post(f"{LIST}/read-all", headers=alice.headers)
    his = await client.get(LIST, headers=bob.headers)

    assert (some.json(), left.json()["unread"], rest.json()) == (
        {"marked": 2},
        1,
        {"marked": 1},
    )
    assert his.json()["unread"] == 1


async def test_each_is_told_on_its_recipients_channel_alone(
    services: Container, alice: Person
) -> None:
    bob = await person(services, "bob")
    await add(
        services,
        event(services, alice.user_id, 1),
        event(services, bob.user_id, 2),
        event(services, None, 3),
        event(services, alice.user_id, 4),
    )

    assert await heard(services.database, notifications_channel(alice.user_id)) == [1, 4]
    assert await heard(services.database, notifications_channel(bob.user_id)) == [2]
    assert await heard(services.database, ADMINISTRATORS_NOTIFICATIONS) == [3]


async def test_each_recipient_keeps_the_newest_thousand(services: Container, alice: Person) -> None:
    many = [event(services, alice.user_id, n) for n in range(NOTIFICATIONS_KEPT_MAX)]
    await add(services, *many, event(services, None))
    await add(services, event(services, alice.user_id, -1), event(services, None))

    kept = await rows(
        services.database,
        "SELECT user_id, count(*) AS n, min((facts->>'n')::int) AS least"
        " FROM notification_events GROUP BY user_id ORDER BY user_id",
    )
    assert [(row.user_id, row.n) for row in kept] == [
        (alice.user_id, NOTIFICATIONS_KEPT_MAX),
        (None, 2),
    ]
