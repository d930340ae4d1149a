"""A shard is asked where it is led: here while it is, elsewhere otherwise."""

import pytest

from backend.app.errors import EngineElsewhere
from backend.app.services.venue.desk import Depth, Known
from backend.app.services.venue.router import VenueRouter
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.venue_post import Books, StandInEngine

ORDER = NewOrder(1, 5, Side.BUY, 250, 3, "mine")


async def test_the_engine_here_is_asked_while_it_leads() -> None:
    here, there = StandInEngine(Books()), StandInEngine(Books())
    here.is_leading = there.is_leading = True
    router = VenueRouter(here, there)

    await router.carry_out([ORDER])
    here.is_leading = False
    [answer] = await router.carry_out([ORDER])

    assert isinstance(answer, Known)
    assert (len(here.books.asked), len(there.books.asked)) == (1, 1)
    assert await router.depth(5, 1) == Depth([(5, 1)], [])


async def test_what_waited_when_the_lead_was_lost_is_asked_elsewhere() -> None:
    class Losing(StandInEngine):
        async def carry_out(self, commands: object) -> list[object]:  # type: ignore[override]
            raise EngineElsewhere(retry_after_seconds=1)

        async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
            raise EngineElsewhere(retry_after_seconds=1)

    here, there = Losing(Books()), StandInEngine(Books())
    here.is_leading = there.is_leading = True

    assert len(await VenueRouter(here, there).carry_out([ORDER])) == 1
    assert await VenueRouter(here, there).open_orders(7, 5) == [7, 5]
    with pytest.raises(EngineElsewhere):
        await VenueRouter(here, None).carry_out([ORDER])


@pytest.mark.parametrize("has_engine", [True, False])
async def test_without_a_way_it_is_said_that_nothing_was_done(has_engine: bool) -> None:
    router = VenueRouter(StandInEngine(Books()) if has_engine else None, None)

    with pytest.raises(EngineElsewhere) as refused:
        await router.carry_out([ORDER])
    with pytest.raises(EngineElsewhere):
        await router.depth(1, 1)
    assert refused.value.retry_after_seconds == 1
