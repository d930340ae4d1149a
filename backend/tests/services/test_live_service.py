"""The door of the live channel: tickets, bounds, and what makes everybody leave."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.config import Settings
from backend.app.container import Container
from backend.app.errors import TooManyTickets, Unauthenticated
from backend.app.services.live.frames import CloseCode
from backend.app.services.live.tickets import TICKETS_PER_USER_MAX
from backend.app.services.live_service import CONNECTIONS_PER_USER_MAX
from backend.tests.support.api_keys import api_key, key_headers
from backend.tests.support.live_house import LiveClient, LiveHouse, live_house, until
from backend.tests.support.people import PASSWORD, Person, bearer, person, registered, signed_in


@pytest.fixture
async def house(database_url: str, settings: Settings, clock: Any) -> AsyncIterator[LiveHouse]:
    async with live_house(database_url, settings, clock, works=False) as house:
        yield house


@pytest.fixture
async def working(database_url: str, settings: Settings, clock: Any) -> AsyncIterator[LiveHouse]:
    """The same, with somebody who looks whose session has ended."""
    async with live_house(database_url, settings, clock) as house:
        yield house


@pytest.fixture
async def alice(house: LiveHouse) -> Person:
    return await person(house.services, "alice")


async def knock(house: LiveHouse, ticket: str) -> int | None:
    """Return how the house closes a connection that shows this ticket."""
    async with await LiveClient.knock(house) as client:
        await client.send("login", ticket=ticket)
        return await client.closed()


async def sql(services: Container, statement: str, **values: Any) -> None:
    async with services.database.transaction() as session:
        await session.execute(text(statement), values)


async def test_a_ticket_is_drawn_through_the_door_and_stored_as_a_hash_alone(
    services: Container, client: AsyncClient
) -> None:
    somebody = await person(services, "somebody")

    answer = await client.post("/api/v1/ws/tickets", headers=somebody.headers)
    async with services.database.snapshot() as session:
        stored = await session.execute(text("SELECT * FROM websocket_tickets"))

    assert answer.status_code == 201
    assert answer.json()["expires_in"] == 30
    assert len(answer.json()["ticket"]) == 43
    assert answer.json()["ticket"] not in repr(stored.all())


async def test_a_ticket_is_a_persons_and_no_platform_keys(
    services: Container, client: AsyncClient
) -> None:
    somebody = await person(services, "somebody")
    key = await api_key(services, somebody)

    answer = await client.post("/api/v1/ws/tickets", headers=key_headers(key))

    assert (answer.status_code, answer.json()["code"]) == (403, "session-needed")


async def test_a_ticket_opens_one_connection(house: LiveHouse, alice: Person) -> None:
    ticket = await house.ticket(alice)

    async with await LiveClient.knock(house) as client:
        assert await client.ask("login", ticket=ticket, id=1) == {"type": "logged_in", "id": 1}
        assert await knock(house, ticket) == CloseCode.TICKET_REFUSED


async def test_of_two_who_show_a_ticket_at_once_one_comes_in(
    house: LiveHouse, alice: Person
) -> None:
    ticket = await house.ticket(alice)
    clients = [await LiveClient.knock(house) for _ in range(2)]

    async def shown(client: LiveClient) -> bool:
        await client.send("login", ticket=ticket)
        return await client.closed() == CloseCode.TICKET_REFUSED

    refused = [asyncio.ensure_future(shown(client)) for client in clients]
    done, waiting = await asyncio.wait(refused, return_when=asyncio.FIRST_COMPLETED)

    assert [task.result() for task in done] == [True]
    (other,) = waiting
    clients[refused.index(other)].abort()
    assert await other is False


async def test_a_ticket_that_is_too_old_opens_nothing(
    house: LiveHouse, alice: Person, clock: Any
) -> None:
    ticket = await house.ticket(alice)

    clock.advance(seconds=30)

    assert await knock(house, ticket) == CloseCode.TICKET_REFUSED


async def test_a_ticket_of_an_ended_session_opens_nothing(house: LiveHouse, alice: Person) -> None:
    ticket = await house.ticket(alice)

    await sql(house.services, "UPDATE auth_sessions SET revoked_at = now()")

    assert await knock(house, ticket) == CloseCode.TICKET_REFUSED


async def test_a_ticket_nobody_issued_opens_nothing(house: LiveHouse) -> None:
    assert await knock(house, "x" * 43) == CloseCode.TICKET_REFUSED


async def test_a_user_may_leave_some_tickets_unused_and_then_no_more(
    house: LiveHouse, alice: Person, clock: Any
) -> None:
    for _ in range(TICKETS_PER_USER_MAX):
        await house.ticket(alice)

    with pytest.raises(TooManyTickets):
        await house.ticket(alice)
    await house.ticket(await person(house.services, "bob"))
    clock.advance(seconds=30)
    await house.ticket(alice)


async def test_tickets_drawn_at_once_keep_the_bound(house: LiveHouse, alice: Person) -> None:
    drawn = await asyncio.gather(
        *(house.ticket(alice) for _ in range(TICKETS_PER_USER_MAX + 5)), return_exceptions=True
    )

    assert sum(isinstance(ticket, str) for ticket in drawn) == TICKETS_PER_USER_MAX


async def test_a_session_that_was_deleted_meanwhile_draws_no_ticket(
    house: LiveHouse, alice: Person
) -> None:
    await sql(house.services, "DELETE FROM auth_sessions")

    with pytest.raises(Unauthenticated):
        await house.ticket(alice)


@pytest.mark.parametrize("first", ['{"op":"ping"}', "nonsense", b"binary", '{"op":"login"}'])
async def test_whoever_begins_with_anything_but_a_login_is_closed(
    house: LiveHouse, first: str | bytes
) -> None:
    async with await LiveClient.knock(house) as client:
        await client.socket.send(first)

        assert await client.closed() == CloseCode.LOGIN_NEEDED


async def test_whoever_says_nothing_is_closed(house: LiveHouse) -> None:
    house.services.sockets._login_seconds_max = 0.1

    async with await LiveClient.knock(house) as client:
        assert await client.closed() == CloseCode.LOGIN_NEEDED


async def test_one_user_has_so_many_connections_and_no_more(
    house: LiveHouse, alice: Person
) -> None:
    clients = [await house.client(alice) for _ in range(CONNECTIONS_PER_USER_MAX)]

    one_more = await knock(house, await house.ticket(alice))
    await clients[0].close()
    async with await house.client(alice):
        pass

    assert one_more == CloseCode.TOO_MANY_CONNECTIONS
    for client in clients:
        client.abort()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE auth_sessions SET revoked_at = now()",
        "DELETE FROM auth_sessions",
        "UPDATE users SET is_active = false",
        "UPDATE users SET auth_version = auth_version + 1",
    ],
    ids=["signed out", "removed", "disabled", "password changed"],
)
async def test_the_end_of_a_session_closes_its_connections_and_no_others(
    working: LiveHouse, statement: str
) -> None:
    house = working
    alice, bob = [await person(house.services, name) for name in ("alice", "bob")]
    whose = "id" if "users" in statement else "user_id"

    async with await house.client(alice) as hers, await house.client(bob) as his:
        await sql(house.services, f"{statement} WHERE {whose} = :user", user=alice.user_id)

        assert await hers.closed() == CloseCode.SESSION_ENDED
        assert await his.ask("ping") == {"type": "pong"}


async def test_signing_out_through_the_door_closes(working: LiveHouse, client: AsyncClient) -> None:
    # Signed out in another process: `client` has services of its own on the same database.
    await registered(client, "carol")
    tokens = await signed_in(client, "carol", PASSWORD)
    access = bearer(tokens["access"])
    ticket = (await client.post("/api/v1/ws/tickets", headers=access)).json()["ticket"]

    async with await LiveClient.knock(working) as hers:
        await hers.ask("login", ticket=ticket)
        ended = await client.post("/api/v1/auth/logout", headers=access)

        assert ended.status_code == 204
        assert await hers.closed() == CloseCode.SESSION_ENDED


async def test_a_broken_connection_gives_its_place_back(house: LiveHouse, alice: Person) -> None:
    clients = [await house.client(alice) for _ in range(CONNECTIONS_PER_USER_MAX)]
    await clients[0].subscribe("prices")

    for client in clients:
        client.abort()

    await until(lambda: house.services.sockets.connections == 0)
    assert house.services.live.channels == []


async def test_a_stop_closes_everybody_with_a_reason_and_lets_nobody_in(
    house: LiveHouse, alice: Person
) -> None:
    async with await house.client(alice) as inside, await LiveClient.knock(house) as knocking:
        house.services.drain()

        assert await inside.closed() == CloseCode.SERVICE_RESTART
        assert await knocking.closed() == CloseCode.SERVICE_RESTART
        assert inside.socket.close_reason == "service-restart"
        async with await LiveClient.knock(house) as late:
            assert await late.closed() == CloseCode.SERVICE_RESTART
