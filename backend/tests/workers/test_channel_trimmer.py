"""Old messages and unused tickets go; what somebody may still ask for stays."""

from typing import Any

from sqlalchemy import text

from backend.app.channel_message import PRICES
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.repositories.channel_repository import TRIMMED_AT_ONCE_MAX, ChannelRepository
from backend.app.services.principal import Principal
from backend.app.workers.channel_trimmer import MESSAGES_KEPT_FOR, ChannelTrimmer
from backend.tests.support.people import person


async def published(services: Container, count: int, age: str) -> None:
    async with services.database.transaction() as session:
        await ChannelRepository(session).publish(PRICES, [{"n": 1}] * count)
        await session.execute(
            text(
                "UPDATE channel_messages"
                " SET created_at = CAST(:now AS timestamptz) - CAST(:age AS text)::interval"
                " WHERE seq > (SELECT max(seq) FROM channel_messages) - :count"
            ),
            {"now": services.clock(), "age": age, "count": count},
        )


async def kept(services: Container) -> list[int]:
    async with services.database.snapshot() as session:
        return [message.seq for message in await ChannelRepository(session).after({PRICES: 0}, 9)]


async def test_messages_are_kept_for_ten_minutes_and_the_count_goes_on(
    services: Container,
) -> None:
    await published(services, 2, "10 minutes 1 second")
    await published(services, 1, "9 minutes 59 seconds")

    await ChannelTrimmer(services.database, services.clock).tick()
    left = await kept(services)
    await published(services, 1, "0 seconds")

    assert MESSAGES_KEPT_FOR.total_seconds() == 600
    assert (left, await kept(services)) == ([3], [3, 4])


async def test_one_tick_clears_more_than_one_block(services: Container) -> None:
    await published(services, TRIMMED_AT_ONCE_MAX + 1, "1 hour")

    await ChannelTrimmer(services.database, services.clock).tick()

    assert await kept(services) == []


async def test_tickets_that_have_expired_go(services: Container, clock: Any) -> None:
    someone = await person(services, "someone")
    asking = Principal(someone.user_id, someone.username, Role.USER, someone.session_id)
    await services.sockets.issue_ticket(asking)
    clock.advance(seconds=31)
    await services.sockets.issue_ticket(asking)

    await ChannelTrimmer(services.database, services.clock).tick()

    async with services.database.snapshot() as session:
        left = await session.scalar(text("SELECT count(*) FROM websocket_tickets"))
    assert left == 1
