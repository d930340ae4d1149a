"""What the feed has told follows from the journal, byte for byte; what does not is found."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from httpx2 import AsyncClient

from backend.app.container import Container
from backend.app.services.venue.feed_news import TOLD_AT_ONCE_MAX
from backend.app.services.venue.replay import replay
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.tests.support.databases import server_connection
from backend.tests.support.spot import Trader, open_venue, trader

TRADES, BOOK, ORDERS = "trades:BTC/USDT", "book:BTC/USDT", "orders:{alice}"
LAST = "(SELECT max(seq) FROM channel_heads WHERE channel_heads.channel = channel_messages.channel)"
# A channel, the number of one of its messages, what becomes of its body, and what is found.
PLANTED = (
    (TRADES, "1", "jsonb_set(body, '{trades,0,price}', '\"1\"')", "tells otherwise of id 1"),
    (TRADES, "1", "jsonb_set(body, '{more}', 'true')", "leaves out some of what happened"),
    (TRADES, "2", "body #- '{trades,0}'", "leaves out some of what happened"),
    (TRADES, LAST, "jsonb_set(body, '{trades,-1,id}', '999')", "tells of what never happened"),
    (TRADES, LAST, "jsonb_set(body, '{trades}', '[]')", "does not tell of id"),
    (TRADES, "1", "'{}'", "is not of the form the feed writes"),
    (TRADES, "2", None, "message 2 of trades:BTC/USDT is not stored"),
    (TRADES, LAST, None, "of trades:BTC/USDT is not stored"),
    (BOOK, "1", "jsonb_set(body, '{asks,0,quantity}', '\"9.00000\"')", "a book that never was"),
    (BOOK, "1", "jsonb_set(body, '{bids}', body->'asks')", "a book that never was"),
    (ORDERS, "2", "jsonb_set(body, '{fills,0,fee}', '\"0\"')", "tells otherwise of trade_id 1,"),
    (ORDERS, LAST, "jsonb_set(body, '{fills}', '[]')", "does not tell of trade_id"),
    (ORDERS, "1", "jsonb_set(body, '{orders,0,status}', '\"filled\"')", "otherwise of order"),
    (ORDERS, LAST, "jsonb_set(body, '{orders}', '[]')", "does not tell how order"),
)


@pytest.fixture
async def alice(client: AsyncClient, services: Container) -> AsyncIterator[Trader]:
    """Somebody who has traded in many ways, and heard of it."""
    async with open_venue(services):
        alice = await trader(client, services, "alice", BTC="10", USDT="100000")
        bob = await trader(client, services, "bob", USDT="10000000", BTC="1")
        await alice.place(side="sell", price="60000", quantity="0.3")
        await services.feed.step()
        await bob.place(price="60000", quantity="0.1")
        await services.feed.step()
        await bob.place_all(
            *({"price": "60000", "quantity": "0.00100"} for _ in range(TOLD_AT_ONCE_MAX))
        )
        stop = {"type": "stop_limit", "price": "50000", "stop_price": "60000", "quantity": "0.1"}
        await alice.place(**stop)
        back = await alice.place(price="40000", quantity="0.1")
        await services.feed.step()
        await bob.place(price="60000", quantity="0.05")
        await alice.cancel(back["id"])
        # With herself: two sides of one trade.
        await alice.place(price="60000", quantity="0.02", self_trade_prevention="none")
        await bob.place(price="60000", quantity="0.03")
        while await services.feed.step():
            pass
        yield alice


async def difference(services: Container) -> str | None:
    return (await replay(services.database, SPOT_SHARD)).difference


async def test_whatever_was_told_otherwise_is_found_and_named(
    services: Container, alice: Trader, database_url: str
) -> None:
    assert await difference(services) is None

    async with server_connection(database_url) as connection:
        await connection.execute("CREATE TEMP TABLE kept AS TABLE channel_messages")
        for channel, seq, body, told in PLANTED:
            what = f"UPDATE channel_messages SET body = {body}"
            planted = await connection.execute(
                f"{what if body else 'DELETE FROM channel_messages'}"
                f" WHERE channel = $1 AND seq = {seq}",
                channel.format(alice=alice.who.user_id),
            )
            found = await difference(services)
            await restored(connection)
            assert planted.endswith(" 1"), (channel, seq, body)
            assert told in (found or ""), (channel, seq, body, found)

    assert await difference(services) is None


async def test_what_is_no_longer_kept_is_not_missed(
    services: Container, alice: Trader, database_url: str
) -> None:
    async with server_connection(database_url) as connection:
        await connection.execute("CREATE TEMP TABLE kept AS TABLE channel_messages")
        for kept_from in (2, 3, 4, 5):
            await connection.execute(f"DELETE FROM channel_messages WHERE seq < {kept_from}")
            assert await difference(services) is None, kept_from
            await restored(connection)


async def restored(connection: asyncpg.Connection) -> None:
    await connection.execute("TRUNCATE channel_messages")
    await connection.execute("INSERT INTO channel_messages TABLE kept")
