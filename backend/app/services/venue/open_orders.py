"""An account's open orders: the books know which they are, so that it costs nothing how many ended.

An index of open orders would cost the engine more: every order that ends would leave it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from backend.app.database import Database
from backend.app.errors import EngineElsewhere, VenueBusy
from backend.app.models.venue import Order
from backend.app.repositories.venue_repository import OPEN_STATUSES, VenueRepository
from backend.app.services.venue.desk import VenueDesk
from backend.app.services.venue.spot_markets import SPOT_SHARD

LOOK_SECONDS_MAX: Final = 0.5
"""Who cannot look into the books by then looks through all orders of the account."""


class OpenOrders(NamedTuple):
    """Some of an account's open orders, the newest first; below `next_id` there may be more."""

    rows: Sequence[Order]
    next_id: int | None


async def open_orders(
    database: Database,
    desk: VenueDesk,
    account_id: int,
    *,
    instrument_id: int | None = None,
    before: int | None = None,
    rows_max: int,
) -> OpenOrders:
    """Return an account's open spot orders, the newest first, from before an id if one is given."""
    ids = await open_ids(desk, account_id, instrument_id)
    async with database.snapshot() as session:
        repository = VenueRepository(session)
        if ids is None:
            rows = await repository.orders(
                account_id,
                SPOT_SHARD,
                instrument_id=instrument_id,
                statuses=OPEN_STATUSES,
                before=before,
                rows_max=rows_max + 1,
            )
            wanted = [each.id for each in rows]
        else:
            wanted = [each for each in ids if before is None or each < before]
            found = await repository.orders_of_ids(account_id, wanted[:rows_max])
            # What has ended since the look is open no more.
            still_open = [each for each in found if each.status in OPEN_STATUSES]
            rows = sorted(still_open, key=lambda each: each.id, reverse=True)
    is_more = len(wanted) > rows_max
    return OpenOrders(rows[:rows_max], wanted[rows_max - 1] if is_more else None)


async def open_ids(desk: VenueDesk, account_id: int, instrument_id: int | None) -> list[int] | None:
    """Return the ids of an account's open orders, the newest first; None if no book is at hand."""
    try:
        async with asyncio.timeout(LOOK_SECONDS_MAX):
            return await desk.open_orders(account_id, instrument_id)
    except (EngineElsewhere, VenueBusy, TimeoutError):
        return None
