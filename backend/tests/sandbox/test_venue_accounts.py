"""A seeded account is one account of the venue, and is given what it begins with once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest
from sqlalchemy import select

from backend.app.clock import utc_now
from backend.app.database import Database
from backend.app.errors import EngineElsewhere
from backend.app.models.venue import VenueAccount
from backend.app.sandbox.accounts import SeededAccount, seeded_accounts
from backend.app.sandbox.listings import LISTINGS, VENUE_FEE
from backend.app.sandbox.patient_desk import PatientDesk
from backend.app.sandbox.venue_world import VenueWorld
from backend.app.services.venue.desk import Answer, Depth
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.spot_markets import SPOT_SHARD, ShardMarkets
from backend.app.venue.commands import Command
from backend.tests.support.venue import engine_on, led, running

NOW_MS = 1_795_259_228_000


@pytest.fixture(scope="module")
def accounts() -> Sequence[SeededAccount]:
    return seeded_accounts(b"a seed", NOW_MS)


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[VenueEngine]:
    async with running(engine_on(database, SPOT_SHARD)) as engine:
        await led(engine)
        yield engine


@pytest.fixture
def worlds(
    database: Database, engine: VenueEngine, accounts: Sequence[SeededAccount]
) -> Sequence[VenueWorld]:
    """Return those of two processes."""
    return [VenueWorld(b"a seed", lambda: NOW_MS, accounts, engine, database) for _ in range(2)]


async def test_many_who_ask_at_once_in_two_processes_give_once(
    worlds: Sequence[VenueWorld],
) -> None:
    told = await asyncio.gather(*(each.balances("okx:full") for each in worlds for _ in range(5)))

    for held in told:
        assert {balance.asset: balance.total for balance in held} == {
            "BTC": Decimal("2.5"),
            "ETH": Decimal(40),
            "SOL": Decimal(500),
            "USDT": Decimal(100_000),
        }


async def test_another_name_is_another_account_and_an_empty_one_holds_nothing(
    database: Database, worlds: Sequence[VenueWorld]
) -> None:
    full = await worlds[0].balances("gate:full")
    empty = await worlds[0].balances("gate:empty")

    async with database.snapshot() as session:
        ids = dict((await session.execute(select(VenueAccount.name, VenueAccount.id))).all())
    assert (len(full), len(empty)) == (4, 0)
    assert sorted(ids) == ["gate:empty", "gate:full"]
    assert len(set(ids.values())) == 2
    assert min(ids.values()) >= 2**41


class LateDesk:
    """Leads when it was asked often enough."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.asked = 0

    async def carry_out(self, commands: Sequence[Command]) -> list[Answer]:
        raise NotImplementedError

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        raise NotImplementedError

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        self.asked += 1
        if self.asked <= self.refusals:
            raise EngineElsewhere
        return Depth([(1, 2)], [])


async def test_a_moment_without_a_leader_is_waited_for() -> None:
    desk = LateDesk(refusals=3)

    depth = await PatientDesk(desk).depth(5, 10)

    assert (depth.bids, desk.asked) == ([(1, 2)], 4)


async def test_the_doors_markets_are_the_venues(database: Database) -> None:
    markets = await ShardMarkets(database, utc_now).all()

    for line in LISTINGS:
        shown, kept = line.market, markets.find(line.market.symbol)
        assert kept is not None
        assert (shown.base, shown.quote) == (kept.base_asset, kept.quote_asset)
        assert shown.tick_size * kept.ticks_per_unit == 1
        assert shown.step_size * kept.lots_per_unit == 1
        assert shown.max_amount == shown.step_size * kept.order_lots_max
        assert shown.min_notional * 10**12 == kept.notional_atoms_min
        assert VENUE_FEE * 10**6 == kept.maker_fee_ppm == kept.taker_fee_ppm
    assert len(LISTINGS) == len(markets.by_id)
