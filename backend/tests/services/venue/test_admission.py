"""What would break a batch, and with it the orders of others, never gets into one."""

from collections.abc import AsyncIterator

import pytest

from backend.app.database import Database
from backend.app.errors import AssetUnknown, BadRequest, OrderRefused, SymbolUnknown
from backend.app.services.venue.engine import VenueEngine
from backend.app.venue.commands import CancelOrder, Command, MoveFunds, NewOrder
from backend.app.venue.orders import OrderType, Side
from backend.tests.support.databases import server_connection
from backend.tests.support.venue import engine_on, led, running

ORDER = NewOrder(1, 5, Side.BUY, 250, client_order_id="a")
FUNDS = MoveFunds(1, "USDT", 10**12, "first")


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[VenueEngine]:
    async with running(engine_on(database, 1)) as engine:
        await led(engine)
        yield engine


NONSENSE: list[tuple[Command, type[Exception]]] = [
    (ORDER._replace(instrument_id=1), OrderRefused),
    (ORDER._replace(instrument_id=10**12), OrderRefused),
    (ORDER._replace(client_order_id="a" * 65), BadRequest),
    (ORDER._replace(client_order_id="a\0"), BadRequest),
    (ORDER._replace(client_order_id="\ud800"), BadRequest),
    (ORDER._replace(client_order_id=""), BadRequest),
    (ORDER._replace(account_id=0), BadRequest),
    (ORDER._replace(account_id=2**70), BadRequest),
    (ORDER._replace(price=None, quantity=0, budget=10**40, type=OrderType.MARKET), OrderRefused),
    (CancelOrder(2**70, 5, 1), BadRequest),
    (FUNDS._replace(asset="USD"), AssetUnknown),
    (FUNDS._replace(asset="U" * 90), AssetUnknown),
    (FUNDS._replace(reference="r" * 65), BadRequest),
    (FUNDS._replace(amount=10**40), BadRequest),
    (FUNDS._replace(amount=-(10**40)), BadRequest),
]


async def test_nonsense_is_refused_at_the_door_and_others_are_served(
    engine: VenueEngine, database_url: str
) -> None:
    for command, refusal in NONSENSE:
        with pytest.raises(refusal):
            await engine.carry_out([FUNDS, command])

    assert len(await engine.carry_out([FUNDS])) == 1
    assert engine.is_leading
    async with server_connection(database_url) as connection:
        assert await connection.fetchval("SELECT epoch FROM venue_epochs") == 1
        assert await connection.fetchval("SELECT count(*) FROM venue_transfers") == 1
        assert await connection.fetchval("SELECT count(*) FROM venue_journal") == 1


async def test_a_book_that_is_not_there_is_not_shown(engine: VenueEngine) -> None:
    with pytest.raises(SymbolUnknown):
        await engine.depth(1, 10)

    assert await engine.depth(5, 10) == ([], [])
