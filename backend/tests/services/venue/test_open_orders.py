"""An account's open orders are the same, whether the books tell of them or only the tables."""

from backend.app.database import Database
from backend.app.services.venue.desk import VenueDesk
from backend.app.services.venue.open_orders import open_orders
from backend.app.venue.commands import CancelOrder, MoveFunds, NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT
from backend.app.venue.orders import Side
from backend.tests.support.venue import engine_on, led, running
from backend.tests.support.venue_post import Books, StandInEngine

ALICE, BOB = 1, 2
BITCOIN, ETHER = 5, 6
AWAY = StandInEngine(Books())
"""It never leads."""


class Late(StandInEngine):
    """Tells of what was open a moment ago."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__(Books())
        self._ids = ids

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        return self._ids


async def every(database: Database, desk: VenueDesk, instrument_id: int | None) -> list[int]:
    ids: list[int] = []
    next_id: int | None = None
    while not ids or next_id is not None:
        rows, next_id = await open_orders(
            database, desk, ALICE, instrument_id=instrument_id, before=next_id, rows_max=2
        )
        ids += [each.id for each in rows]
    return ids


async def test_books_and_tables_tell_of_the_same_open_orders(database: Database) -> None:
    ether = NewOrder(ALICE, ETHER, Side.BUY, 10_000, 10_000)
    bitcoin = NewOrder(ALICE, BITCOIN, Side.BUY, 10_000, 100_000)
    async with running(engine_on(database, 1)) as engine:
        await led(engine)
        await engine.carry_out(
            [MoveFunds(who, "USDT", 10_000 * ATOMS_PER_UNIT, "first") for who in (ALICE, BOB)]
        )
        ids = [(await engine.place(each)).id for each in [ether, bitcoin] * 4]
        await engine.place(ether._replace(account_id=BOB))
        ended = ids.pop()
        await engine.carry_out([CancelOrder(ALICE, BITCOIN, ended)])
        ids.reverse()

        for instrument_id, expected in ((None, ids), (BITCOIN, ids[1::2])):
            for desk in (engine, AWAY):
                assert await every(database, desk, instrument_id) == expected
        late = await open_orders(database, Late([ended, *ids]), ALICE, rows_max=2)

    assert [each.id for each in late.rows] == [ids[0]]
    assert late.next_id == ids[0]
