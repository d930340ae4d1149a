"""What a signed-in connection may say, and what it is answered, over a real WebSocket."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backend.app.channel_message import (
    ADMINISTRATORS_NOTIFICATIONS,
    PRICES,
    candles_channel,
    notifications_channel,
)
from backend.app.config import Settings
from backend.app.enums import Role
from backend.app.repositories.price_repository import PriceRepository
from backend.app.services.live.asked_frame import FRAMES_AT_ONCE_MAX
from backend.app.services.live.frames import CloseCode
from backend.app.services.live.live_connection import MALFORMED_FRAMES_MAX
from backend.app.websocket_wire import FRAME_BYTES_MAX
from backend.tests.support.live_house import LiveClient, LiveHouse, live_house
from backend.tests.support.people import Person, person

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LAST_PRICE = {
    "symbol": "BTC/USDT",
    "price": Decimal("64000.5"),
    "source": "binance",
    "as_of": NOON,
    "received_at": NOON,
    "stale_since": None,
    "stale_because": None,
    "candidate_price": None,
    "candidate_count": 0,
}


@pytest.fixture
async def house(database_url: str, settings: Settings) -> AsyncIterator[LiveHouse]:
    async with live_house(database_url, settings, works=False) as house:
        yield house


@pytest.fixture
async def alice(house: LiveHouse) -> Person:
    return await person(house.services, "alice")


@pytest.fixture
async def client(house: LiveHouse, alice: Person) -> AsyncIterator[LiveClient]:
    async with await house.client(alice) as client:
        yield client


def numbered(channel: str, *seqs: int) -> list[dict[str, Any]]:
    return [{"type": "message", "channel": channel, "seq": seq, "data": {"n": seq}} for seq in seqs]


async def publish(house: LiveHouse, channel: str, first: int, last: int) -> None:
    await house.publish(channel, *({"n": seq} for seq in range(first, last + 1)))


async def test_a_subscription_is_acknowledged_and_told_what_follows(
    house: LiveHouse, client: LiveClient
) -> None:
    await publish(house, PRICES, 1, 2)

    begun = await client.subscribe("prices", id="mine")
    await publish(house, PRICES, 3, 4)

    assert begun == {"type": "subscribed", "channel": "prices", "seq": 2, "id": "mine"}
    assert await client.take(2) == numbered("prices", 3, 4)


async def test_whoever_says_what_it_has_seen_is_told_the_rest(
    house: LiveHouse, client: LiveClient
) -> None:
    await publish(house, PRICES, 1, 5)

    begun = await client.subscribe("prices", after=2)
    await publish(house, PRICES, 6, 6)

    assert begun == {"type": "subscribed", "channel": "prices", "seq": 5}
    assert await client.take(4) == numbered("prices", 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("published", "trimmed_to", "after", "reason"),
    [(3, 0, 9, "ahead"), (5, 3, 1, "trimmed"), (5, 5, 1, "trimmed"), (501, 0, 0, "too-far")],
)
async def test_who_cannot_go_on_is_told_so_and_begins_anew(
    house: LiveHouse,
    client: LiveClient,
    published: int,
    trimmed_to: int,
    after: int,
    reason: str,
) -> None:
    await publish(house, PRICES, 1, published)
    await house.forget(PRICES, trimmed_to)

    begun = await client.subscribe("prices", after=after)
    reset, state = await client.take(2)
    await publish(house, PRICES, published + 1, published + 1)

    assert begun["seq"] == published
    assert reset == {"type": "reset", "channel": "prices", "seq": published, "reason": reason}
    assert (state["type"], state["seq"]) == ("snapshot", published)
    assert await client.next() == numbered("prices", published + 1)[0]


async def test_what_is_kept_from_the_first_needed_on_is_enough(
    house: LiveHouse, client: LiveClient
) -> None:
    await publish(house, PRICES, 1, 5)
    await house.forget(PRICES, 3)

    await client.subscribe("prices", after=3)

    assert await client.take(2) == numbered("prices", 4, 5)


class Market:
    """Knows the state of a channel."""

    async def snapshot(self) -> dict[str, Any]:
        return {"BTC/USDT": "65000"}


async def test_a_channel_with_a_state_shows_it_to_whoever_begins_and_to_no_other(
    house: LiveHouse, client: LiveClient
) -> None:
    house.services.live.offer_snapshot(PRICES, Market())
    await publish(house, PRICES, 1, 3)
    state = {"type": "snapshot", "channel": "prices", "seq": 3, "data": {"BTC/USDT": "65000"}}

    await client.ask("subscribe", channel="prices")
    at_the_beginning = await client.next()
    await client.ask("unsubscribe", channel="prices")
    await client.ask("subscribe", channel="prices", after=2)
    on_resuming = await client.next()
    await client.ask("unsubscribe", channel="prices")
    await client.ask("subscribe", channel="prices", after=9)
    after_a_reset = await client.take(2)

    assert at_the_beginning == state
    assert [on_resuming] == numbered("prices", 3)
    assert [frame["type"] for frame in after_a_reset] == ["reset", "snapshot"]


async def test_prices_begin_with_all_that_are_known(house: LiveHouse, client: LiveClient) -> None:
    async with house.services.database.transaction() as session:
        await PriceRepository(session).keep([LAST_PRICE])

    await client.ask("subscribe", channel="prices")

    assert (await client.next())["data"] == {
        "prices": [
            {
                "symbol": "BTC/USDT",
                "price": "64000.5",
                "source": "binance",
                "as_of": "2026-11-21T12:00:00.000Z",
                "stale": False,
                "stale_because": None,
            }
        ]
    }


async def test_candles_go_by_any_name_of_a_symbol_that_is_kept(
    house: LiveHouse, client: LiveClient
) -> None:
    nothing_kept = await client.ask("subscribe", channel="candles:btcusdt:1m")
    await house.keep_symbol("BTC/USDT")

    begun = await client.subscribe("candles:btcusdt:1m")
    unknown = await client.ask("subscribe", channel="candles:BTC/USDC:1m")
    await house.publish(candles_channel("BTC/USDT", "1m"), {"n": 1})

    assert nothing_kept["code"] == "market-data-unavailable"
    assert begun["channel"] == "candles:BTC/USDT:1m"
    assert (unknown["code"], unknown["near"]) == ("symbol-unknown", ["BTC/USDT"])
    assert await client.next() == numbered("candles:BTC/USDT:1m", 1)[0]


async def test_what_concerns_the_installation_is_for_administrators(house: LiveHouse) -> None:
    admin = await person(house.services, "root", Role.ADMIN)
    auditor = await person(house.services, "auditor", Role.AUDITOR)

    async with await house.client(admin) as hers, await house.client(auditor) as his:
        begun = await hers.subscribe(ADMINISTRATORS_NOTIFICATIONS)
        refused = await his.ask("subscribe", channel=ADMINISTRATORS_NOTIFICATIONS)
        await house.publish(ADMINISTRATORS_NOTIFICATIONS, {"n": 1})

        assert begun["channel"] == "notifications:administrators"
        assert refused["code"] == "channel-unknown"
        assert await hers.next() == numbered("notifications:administrators", 1)[0]


async def test_after_unsubscribing_nothing_is_told(house: LiveHouse, client: LiveClient) -> None:
    await client.subscribe("prices")

    ended = await client.ask("unsubscribe", channel="prices", id=7)
    await publish(house, PRICES, 1, 1)

    assert ended == {"type": "unsubscribed", "channel": "prices", "id": 7}
    assert await client.ask("ping", id="last") == {"type": "pong", "id": "last"}


async def test_everybody_hears_their_own_notifications_and_nobody_elses(
    house: LiveHouse, client: LiveClient, alice: Person
) -> None:
    bob = await person(house.services, "bob")

    async with await house.client(bob) as his:
        await client.subscribe("notifications")
        await his.subscribe("notifications")
        await house.publish(notifications_channel(alice.user_id), {"n": 1})
        await house.publish(notifications_channel(bob.user_id), {"n": 1}, {"n": 2})

        assert await client.next() == numbered("notifications", 1)[0]
        assert await his.take(2) == numbered("notifications", 1, 2)
        # Nothing more has come to either: the next thing is what was asked last.
        assert (await client.ask("ping"))["type"] == (await his.ask("ping"))["type"] == "pong"


NO_CHANNELS = (
    "notifications:1",
    "notifications:2",
    "notifications:",
    "Notifications",
    "prices:",
    "candles",
    "candles:BTC/USDT",
    "candles:BTC/USDT:2m",
    "candles::1m",
    "users",
    "%",
)


async def test_a_channel_that_is_none_is_refused_and_others_cannot_be_named(
    client: LiveClient,
) -> None:
    for named in NO_CHANNELS:
        refused = await client.ask("subscribe", channel=named, id=named)

        told = (refused["type"], refused["code"], refused["id"])
        assert told == ("error", "channel-unknown", named)


async def test_subscribing_twice_and_unsubscribing_from_nothing_are_refused(
    client: LiveClient,
) -> None:
    await client.subscribe("prices")

    twice = await client.ask("subscribe", channel="prices")
    nothing = await client.ask("unsubscribe", channel="notifications")

    assert (twice["code"], nothing["code"]) == ("already-subscribed", "not-subscribed")


MALFORMED = (
    "",
    "nonsense",
    "[]",
    "null",
    "{}",
    '{"op":"dance"}',
    '{"op":"subscribe"}',
    '{"op":"subscribe","channel":7}',
    '{"op":"subscribe","channel":"prices","after":-1}',
    '{"op":"subscribe","channel":"prices","after":"3"}',
    '{"op":"subscribe","channel":"prices","after":1.5}',
    '{"op":"subscribe","channel":"prices","after":9007199254740992}',
    '{"op":"ping","surplus":1}',
    '{"op":"ping","id":true}',
    '{"op":"login","ticket":"' + "x" * 43 + '"}',
    "[" * 1000,
)


# No connection is told more than so many of them.
@pytest.mark.parametrize("texts", [MALFORMED[:8], MALFORMED[8:]], ids=["some", "others"])
async def test_a_malformed_frame_is_answered_and_not_repeated(
    client: LiveClient, texts: tuple[str, ...]
) -> None:
    for text in texts:
        await client.socket.send(text)

        refused = await client.next()

        assert (refused["type"], refused["code"]) == ("error", "frame-malformed"), text
        assert "xxx" not in json.dumps(refused)
        assert await client.ask("ping") == {"type": "pong"}


async def test_who_sends_nothing_but_nonsense_is_closed(client: LiveClient) -> None:
    for _ in range(MALFORMED_FRAMES_MAX):
        await client.socket.send("nonsense")

    assert await client.closed() == CloseCode.MALFORMED_FRAMES


async def test_a_binary_frame_closes(client: LiveClient) -> None:
    await client.socket.send(b'{"op":"ping"}')

    assert await client.closed() == CloseCode.UNSUPPORTED_DATA


async def test_a_frame_too_large_closes(client: LiveClient) -> None:
    await client.socket.send("x" * (FRAME_BYTES_MAX + 1))

    assert await client.closed() == 1009


async def test_too_many_frames_at_once_close(client: LiveClient) -> None:
    for _ in range(3 * FRAMES_AT_ONCE_MAX):
        await client.socket.send('{"op":"ping"}')

    assert await client.closed() == CloseCode.TOO_MANY_FRAMES
