"""The venue, asked again while nobody leads it: at the start, and while one takes over."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from backend.app.errors import EngineElsewhere
from backend.app.services.venue.desk import Answer, Depth, VenueDesk
from backend.app.venue.commands import Command

LEAD_SECONDS_MAX: Final = 5
_AGAINS_PER_SECOND: Final = 10

_Told = TypeVar("_Told")


class PatientDesk:
    """A desk that bridges the moment in which no engine leads: nothing was carried out then."""

    def __init__(self, desk: VenueDesk) -> None:
        self._desk = desk

    async def carry_out(self, commands: Sequence[Command]) -> list[Answer]:
        """Carry out commands one after the other; see `VenueDesk`."""
        return await _asked(lambda: self._desk.carry_out(commands))

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        """Return the ids of an account's open orders; see `VenueDesk`."""
        return await _asked(lambda: self._desk.open_orders(account_id, instrument_id))

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        """Return the committed book of an instrument; see `VenueDesk`."""
        return await _asked(lambda: self._desk.depth(instrument_id, levels_max))


async def _asked(ask: Callable[[], Awaitable[_Told]]) -> _Told:
    loop = asyncio.get_running_loop()
    until = loop.time() + LEAD_SECONDS_MAX
    while True:
        try:
            return await ask()
        except EngineElsewhere:
            if loop.time() >= until:
                raise
        await asyncio.sleep(1 / _AGAINS_PER_SECOND)
