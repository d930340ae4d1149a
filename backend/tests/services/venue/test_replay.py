"""The journal is enough: it makes every table anew, however it was cut, and finds what is wrong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.database import Database
from backend.app.services.venue.replay import Replay, replay
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.venue.commands import NewOrder
from backend.app.venue.journal_form import JournalUnreadable, read, written
from backend.app.venue.orders import Side
from backend.tests.support.databases import server_connection
from backend.tests.support.instruments import CARDS
from backend.tests.support.venue import (
    engine_on,
    led,
    running,
    seeded_orders,
    seeded_spot_commands,
)


def plain_order(
    account_id: int, instrument_id: int, side: Side, price: int, quantity: int, name: str | None
) -> NewOrder:
    return NewOrder(account_id, instrument_id, side, price, quantity, name)


orders = st.builds(
    plain_order,
    st.integers(1, 4),
    st.integers(1, 2),
    st.sampled_from(Side),
    st.integers(100, 108),
    st.integers(1, 3),
    st.one_of(st.none(), st.text("ab:.", min_size=1, max_size=4)),
)
ONE_MORE = (
    "INSERT INTO orders SELECT 601, account_id, instrument_id, side, price, quantity, 0, 'open',"
    " NULL, created_at, updated_at FROM orders WHERE id = 1"
)
stories = st.lists(orders, min_size=1, max_size=60)


def market_of(batches: list[list[NewOrder]]) -> Replay:
    market = Replay(CARDS)
    for batch in batches:
        market.add(batch)
    return market


@given(story=stories, cuts=st.sets(st.integers(1, 59)))
def test_the_digest_is_the_same_however_the_batches_are_cut(
    story: list[NewOrder], cuts: set[int]
) -> None:
    ends = sorted({*(cut for cut in cuts if cut < len(story)), len(story)})
    batches = [story[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    whole, one_by_one = market_of([story]), market_of([[each] for each in story])

    assert market_of(batches).digest() == whole.digest() == one_by_one.digest()
    assert list(market_of(batches).stands.rows()) == list(whole.stands.rows())


@given(story=stories)
def test_what_the_journal_holds_is_read_as_it_was_written(story: list[NewOrder]) -> None:
    assert read(written(story)) == story


@given(story=stories)
def test_every_lot_is_in_a_book_or_traded(story: list[NewOrder]) -> None:
    market = Replay(CARDS)

    batch = market.add(story)

    traded = sum(2 * trade.quantity for trade in batch.trades)
    resting = sum(left for _, left in market.open_orders())
    assert traded + resting == sum(order.quantity for order in story)


@pytest.mark.parametrize(
    "entry", [b"", b"{}", b'{"form": 2}', b"[]", written(seeded_orders(40)).replace(b"b", b"x")]
)
def test_an_entry_of_another_form_is_told(entry: bytes) -> None:
    with pytest.raises(JournalUnreadable):
        read(entry)


@pytest.fixture
async def filled(database: Database) -> Database:
    placed = seeded_orders(600)
    async with running(engine_on(database)) as engine:
        await led(engine)
        for start in range(0, len(placed), 37):
            await engine.carry_out(placed[start : start + 37])
    return database


@pytest.fixture
async def paid(database: Database, database_url: str) -> Database:
    async with server_connection(database_url) as connection:
        pair = await connection.fetchval("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'")
    async with running(engine_on(database, SPOT_SHARD)) as engine:
        await led(engine)
        await engine.carry_out(seeded_spot_commands(100, pair))
    return database


async def test_the_tables_say_what_the_journal_says(filled: Database) -> None:
    found = await replay(filled, 0)

    assert found.difference is None
    assert (found.orders, found.batches) == (600, 17)
    assert found.trades > 100
    assert found.digest == market_of([seeded_orders(600)]).digest()


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        (
            "UPDATE orders SET price = 1 WHERE id = 5",
            "order 5 is not stored as the journal says: price is 1, not ",
        ),
        (
            "UPDATE orders SET created_at = created_at + interval '1 us' WHERE id = 7",
            "order 7 is not stored as the journal says: created_at is ",
        ),
        (
            "UPDATE orders SET updated_at = '2001-01-01Z' WHERE id = 8",
            "order 8 is not stored as the journal says: updated_at is 2001-01-01",
        ),
        ("UPDATE orders SET status = 'cancelled' WHERE id = 600", "order 600 is not stored as"),
        ("DELETE FROM orders WHERE id = 600", "order 600 is not stored"),
        ("DELETE FROM trades WHERE id = 1", "trade 1 is not stored as"),
        ("UPDATE trades SET maker_order_id = 1 WHERE id = 9", "trade 9 is not stored as"),
        (
            "UPDATE trades SET traded_at = '2001-01-01Z' WHERE id = 9",
            "trade 9 is not stored as the journal says: traded_at is 2001-01-01",
        ),
        (ONE_MORE, "order 601 is stored, and the journal knows nothing of it"),
        ("DELETE FROM venue_journal WHERE sequence = 3", "the journal breaks off before entry 4"),
        (
            "UPDATE venue_journal SET commands = '{}' WHERE sequence = 2",
            "entry 2 of the journal cannot be carried out",
        ),
        (
            "UPDATE venue_journal SET changed = changed[2:] WHERE sequence = 4",
            "entry 4 of the journal names other orders than it changed",
        ),
        (
            "UPDATE venue_journal SET changed = NULL WHERE sequence = 17",
            "entry 17 of the journal names other orders than it changed",
        ),
    ],
)
async def test_whatever_was_changed_is_found_and_named(
    filled: Database, database_url: str, tampering: str, told: str
) -> None:
    async with server_connection(database_url) as connection:
        await connection.execute("ALTER TABLE venue_journal DISABLE TRIGGER USER")
        changed = await connection.execute(tampering)

    found = await replay(filled, 0)

    assert changed.endswith(" 1")
    assert found.difference is not None
    assert found.difference.startswith(told)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("fills.traded_at", r"a fill of account \d is not stored as .*: traded_at is "),
        ("venue_transfers.at", r"transfer \d+ is not stored as .*: at is "),
        ("ledger_movements.at", r"the movement of command \d+ is not stored as .*: at is "),
    ],
)
async def test_when_money_moved_is_compared_too(
    paid: Database, database_url: str, column: str, told: str
) -> None:
    table, name = column.split(".")
    async with server_connection(database_url) as connection:
        await connection.execute("ALTER TABLE ledger_movements DISABLE TRIGGER USER")
        await connection.execute(f"UPDATE {table} SET {name} = {name} + interval '1 us'")

    found = await replay(paid, SPOT_SHARD)

    assert found.difference is not None
    assert re.match(told, found.difference), found.difference
