"""Every frame of the live channel sent by strangers, every channel asked for by every role."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final, get_args

import pytest

from backend.app.channel_message import ADMINISTRATORS_NOTIFICATIONS
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.main import AppRole, create_app
from backend.app.routes.policy import PUBLIC, declared_policies
from backend.app.schemas.live_schemas import AskedFrame
from backend.app.services.live.frames import CloseCode
from backend.tests.support.live_house import LiveClient, LiveHouse, live_house
from backend.tests.support.people import person

# A new kind of frame needs a line here, and one in docs/websocket.md.
FRAMES: Final[dict[str, dict[str, Any]]] = {
    "login": {"ticket": "x" * 43},
    "subscribe": {"channel": "prices"},
    "unsubscribe": {"channel": "prices"},
    "ping": {},
}
CHANNELS: Final = {
    "prices": set(Role),
    "candles:BTC/USDT:1m": set(Role),
    "notifications": set(Role),
    ADMINISTRATORS_NOTIFICATIONS: {Role.ADMIN},
}


@pytest.fixture
async def house(database_url: str, settings: Settings) -> AsyncIterator[LiveHouse]:
    async with live_house(database_url, settings) as house:
        yield house


def test_there_is_one_websocket_and_its_first_frame_says_who_it_is(services: Container) -> None:
    sockets = {
        route.path or getattr(route.starlette_route, "path", None): policies
        for route, policies in declared_policies(create_app(AppRole.API, services))
        if not route.methods
    }

    assert sockets == {"/api/v1/ws": [PUBLIC]}


def test_every_kind_of_frame_is_covered() -> None:
    ops = {get_args(frame.model_fields["op"].annotation)[0] for frame in get_args(AskedFrame)}

    assert ops == FRAMES.keys()


@pytest.mark.parametrize("op", FRAMES)
async def test_a_stranger_is_shown_out_whatever_it_says(house: LiveHouse, op: str) -> None:
    async with await LiveClient.knock(house) as client:
        await client.socket.send(json.dumps({"op": op, **FRAMES[op]}))

        code = await client.closed()

    assert code == (CloseCode.TICKET_REFUSED if op == "login" else CloseCode.LOGIN_NEEDED)


async def test_each_role_hears_the_channels_that_are_for_it(house: LiveHouse) -> None:
    await house.keep_symbol("BTC/USDT")
    wrong = []

    for role in Role:
        async with await house.client(await person(house.services, role.value, role)) as client:
            for channel, roles in CHANNELS.items():
                await client.send("subscribe", channel=channel, after=0)
                answer = await client.next()
                expected = "subscribed" if role in roles else "error"
                if answer["type"] != expected:
                    wrong.append((role, channel, answer))

    assert wrong == []
