"""The engine and money: what is locked, paid and moved is in the ledger with the order, or not."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from backend.app.database import Database
from backend.app.errors import (
    ClientOrderIdTaken,
    InsufficientFunds,
    OrderNotOpen,
    OrderRefused,
    PostOnlyWouldTake,
    StrongroomError,
    TransferReferenceTaken,
)
from backend.app.repositories.venue_names import Known
from backend.app.repositories.venue_reading import instruments
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.replay import Replay, replay
from backend.app.venue.batch import Done, OrderStatus
from backend.app.venue.books import Books
from backend.app.venue.commands import CancelAllOrders, CancelOrder, MoveFunds, NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT
from backend.app.venue.orders import OrderType, Side, TimeInForce
from backend.tests.support.databases import server_connection
from backend.tests.support.venue import engine_on, led, running, seeded_spot_commands

BUY, SELL = Side.BUY, Side.SELL
SPOT, ALICE, BOB = 1, 1, 2
FIRST = 2**40 + 1


@pytest.fixture
async def pair(database_url: str) -> int:
    """Return BTC/USDT: a price tick is 0.01 USDT, a lot 0.00001 BTC."""
    [(number,)] = await rows(database_url, "SELECT id FROM instruments WHERE symbol = 'BTC/USDT'")
    return int(number)


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[VenueEngine]:
    async with running(engine_on(database, SPOT)) as engine:
        await led(engine)
        yield engine


async def rows(database_url: str, query: str) -> list[tuple[Any, ...]]:
    async with server_connection(database_url) as connection:
        return [tuple(row) for row in await connection.fetch(query)]


async def wallets(database_url: str) -> dict[tuple[int, str], tuple[Decimal, Decimal]]:
    found = await rows(database_url, "SELECT * FROM wallets")
    return {(account, asset): (available, locked) for account, asset, available, locked in found}


def funds(account: int, asset: str, units: int, reference: str = "first") -> MoveFunds:
    return MoveFunds(account, asset, units * ATOMS_PER_UNIT, reference)


async def test_a_buy_locks_its_price_and_a_fill_pays_both_sides_with_fees(
    engine: VenueEngine, database_url: str, pair: int
) -> None:
    await engine.carry_out((funds(ALICE, "USDT", 1_000), funds(BOB, "BTC", 1)))

    # 0.01 BTC at 50,000 USDT.
    bought = await engine.place(NewOrder(ALICE, pair, BUY, 5_000_000, 1_000))
    locked = (await wallets(database_url))[ALICE, "USDT"]
    sold = await engine.place(NewOrder(BOB, pair, SELL, 4_900_000, 400))

    assert (bought.id, bought.status) == (FIRST + 2, OrderStatus.OPEN)
    assert locked == (500, 500)
    assert (sold.executed, sold.value, sold.status) == (400, 400 * 5_000_000, OrderStatus.FILLED)
    assert await wallets(database_url) == {
        (ALICE, "USDT"): (500, 300),
        (ALICE, "BTC"): (Decimal("0.003996"), 0),
        (BOB, "USDT"): (Decimal("199.8"), 0),
        (BOB, "BTC"): (Decimal("0.996"), 0),
    }
    assert await rows(
        database_url,
        "SELECT account_id, order_id, side, is_maker, price, quantity, fee FROM fills"
        " ORDER BY account_id",
    ) == [
        (ALICE, FIRST + 2, "buy", True, 5_000_000, 400, Decimal("0.000004")),
        (BOB, FIRST + 3, "sell", False, 5_000_000, 400, Decimal("0.2")),
    ]
    assert await rows(
        database_url,
        "SELECT kind, asset, balance FROM ledger_accounts WHERE venue_account_id IS NULL"
        " AND asset <> 'USD' ORDER BY 1, 2",
    ) == [
        ("bank", "BTC", -1),
        ("bank", "USDT", -1_000),
        ("fees", "BTC", Decimal("0.000004")),
        ("fees", "USDT", Decimal("0.2")),
    ]
    assert await rows(
        database_url, "SELECT status, executed_quantity, executed_value FROM orders ORDER BY id"
    ) == [("partially_filled", 400, 400 * 5_000_000), ("filled", 400, 400 * 5_000_000)]


async def test_a_cancelled_order_gives_back_what_it_locked(
    engine: VenueEngine, database_url: str, pair: int
) -> None:
    await engine.carry_out((funds(ALICE, "USDT", 1_000),))
    orders = [await engine.place(NewOrder(ALICE, pair, BUY, 5_000_000, 500)) for _ in range(3)]

    [one] = await engine.carry_out((CancelOrder(ALICE, pair, orders[0].id),))
    [others] = await engine.carry_out((CancelAllOrders(ALICE, None),))

    assert one == Done(FIRST + 4, (orders[0].id,))
    assert others == Done(FIRST + 5, (orders[1].id, orders[2].id))
    assert await wallets(database_url) == {(ALICE, "USDT"): (1_000, 0)}
    assert await rows(database_url, "SELECT DISTINCT status FROM orders") == [("cancelled",)]


async def test_what_cannot_be_done_is_refused_and_changes_nothing(
    engine: VenueEngine, database_url: str, pair: int
) -> None:
    await engine.carry_out((funds(ALICE, "USDT", 100), funds(BOB, "BTC", 1)))
    resting = await engine.place(NewOrder(BOB, pair, SELL, 5_000_000, 300))
    before = await wallets(database_url)

    refused = await engine.carry_out(
        (
            NewOrder(ALICE, pair, BUY, 5_000_000, 10_000),
            NewOrder(ALICE, pair, BUY, None, 10_000, type=OrderType.MARKET),
            NewOrder(ALICE, pair, BUY, 5_000_000, 1, time_in_force=TimeInForce.POST_ONLY),
            NewOrder(ALICE, pair, BUY, 0, 1),
            CancelOrder(ALICE, pair, resting.id),
            CancelOrder(ALICE, pair, 12345),
            funds(ALICE, "USDT", -101, "too-much"),
        )
    )

    assert [type(each) for each in refused] == [
        *(InsufficientFunds, InsufficientFunds, PostOnlyWouldTake, OrderRefused),
        *(OrderNotOpen, OrderNotOpen, InsufficientFunds),
    ]
    assert isinstance(refused[3], StrongroomError)
    assert refused[3].facts == {"rule": "price_out_of_range"}
    assert await wallets(database_url) == before
    # Refused commands have no number, and do not stand in the journal.
    assert (await engine.place(NewOrder(BOB, pair, SELL, 5_000_000, 100))).id == resting.id + 1
    assert await rows(database_url, "SELECT count(*) FROM orders") == [(2,)]


async def test_an_order_of_no_instrument_of_the_shard_is_refused(
    engine: VenueEngine, pair: int
) -> None:
    with pytest.raises(OrderRefused):
        await engine.carry_out((NewOrder(ALICE, 1, BUY, 250),))

    [done] = await engine.carry_out((funds(ALICE, "USDT", 1),))

    assert done == Done(FIRST)


async def test_a_transfer_sent_again_is_done_once_and_another_of_its_name_refused(
    engine: VenueEngine, database_url: str, pair: int
) -> None:
    transfer = funds(ALICE, "USDT", 100)

    together = await engine.carry_out((transfer, transfer, funds(ALICE, "USDT", 101)))
    later = await engine.carry_out(
        (transfer, funds(ALICE, "BTC", 100), funds(BOB, "USDT", 7), funds(BOB, "USDT", 7))
    )

    assert together[:2] == [Done(FIRST), Done(FIRST)]
    assert isinstance(together[2], TransferReferenceTaken)
    assert later[0] == Done(FIRST)
    assert isinstance(later[1], TransferReferenceTaken)
    assert later[2:] == [Done(FIRST + 1), Done(FIRST + 1)]
    assert await wallets(database_url) == {(ALICE, "USDT"): (100, 0), (BOB, "USDT"): (7, 0)}
    assert await rows(
        database_url, "SELECT account_id, reference, amount, number FROM venue_transfers ORDER BY 1"
    ) == [(ALICE, "first", 100, FIRST), (BOB, "first", 7, FIRST + 1)]


async def test_a_named_order_of_every_kind_is_known_again_after_a_restart(
    database: Database, pair: int
) -> None:
    orders = [
        NewOrder(ALICE, pair, BUY, 5_000_000, 5, "limit", time_in_force=TimeInForce.POST_ONLY),
        NewOrder(ALICE, pair, BUY, 100, 5, "stop", OrderType.STOP_LIMIT, stop_price=6_000_000),
        NewOrder(ALICE, pair, BUY, None, 5, "market", OrderType.MARKET),
        NewOrder(ALICE, pair, BUY, None, 0, "budget", OrderType.MARKET, budget=7 * ATOMS_PER_UNIT),
    ]
    async with running(engine_on(database, SPOT)) as engine:
        await led(engine)
        await engine.carry_out((funds(ALICE, "USDT", 100), funds(BOB, "BTC", 1)))
        await engine.place(NewOrder(BOB, pair, SELL, 5_500_000, 1_000))
        placed = await engine.carry_out(orders)
    async with running(engine_on(database, SPOT)) as engine:
        await led(engine)
        again = await engine.carry_out(orders)
        other = await engine.carry_out([each._replace(side=SELL) for each in orders])

    assert [each.status.value for each in placed if isinstance(each, Known)] == [
        *("open", "waiting", "filled", "filled")
    ]
    assert again == placed
    assert {type(each) for each in other} == {ClientOrderIdTaken}


async def test_a_name_whose_order_was_refused_is_free(engine: VenueEngine, pair: int) -> None:
    order = NewOrder(ALICE, pair, BUY, 5_000_000, 100, "mine")

    refused = await engine.carry_out((order, order))
    await engine.carry_out((funds(ALICE, "USDT", 100),))
    placed = await engine.place(order)

    assert [type(each) for each in refused] == [InsufficientFunds, InsufficientFunds]
    assert placed.order == order


async def test_one_name_on_both_shards_at_once_stops_neither(
    engine: VenueEngine, database: Database, pair: int
) -> None:
    sold, card = (
        NewOrder(ALICE, pair, SELL, 5_000_000, 1, "mine"),
        NewOrder(ALICE, 1, BUY, 250, client_order_id="mine"),
    )
    await engine.carry_out((funds(ALICE, "BTC", 1),))

    async with running(engine_on(database)) as cards:
        await led(cards)
        # What the one writes, the other cannot know of in time.
        placed = await asyncio.gather(engine.place(sold), cards.place(card))
        again = await asyncio.gather(engine.place(sold), cards.place(card))

    assert [each.order for each in placed] == [sold, card]
    assert again == placed


@pytest.mark.parametrize("together", [1, 7, 400])
async def test_any_sequence_is_in_the_tables_as_the_journal_says(
    engine: VenueEngine, database: Database, database_url: str, pair: int, together: int
) -> None:
    commands = seeded_spot_commands(800, pair)

    parts = [commands[start : start + together] for start in range(0, len(commands), together)]
    await asyncio.gather(*(engine.carry_out(part) for part in parts))

    async with server_connection(database_url) as connection:
        books = Books(await instruments(connection, SPOT), FIRST, 1)
        market = Replay(await instruments(connection, SPOT), SPOT)
    market.add(books.carry_out(commands).commands)
    found = await replay(database, SPOT)
    assert found.difference is None
    assert found.trades > 50
    assert found.digest == market.digest()
    assert (
        await rows(
            database_url,
            "SELECT asset, sum(balance) FROM ledger_accounts GROUP BY 1 HAVING sum(balance) <> 0",
        )
        == []
    )
