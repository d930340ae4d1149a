"""The way to a shard: the engine in this process while it leads, else the process that does."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from backend.app.errors import EngineElsewhere
from backend.app.services.venue.desk import Answer, Depth, VenueDesk
from backend.app.venue.commands import Command

_RETRY_AFTER_SECONDS: Final = 1

_Seen = TypeVar("_Seen")


class LeadingDesk(VenueDesk, Protocol):
    """A desk that takes commands at times: an engine, in this process."""

    @property
    def is_leading(self) -> bool:
        """Whether commands are taken here."""
        ...


class VenueRouter:
    """A `VenueDesk` for one shard. Either way may be missing: it is then never taken."""

    def __init__(self, engine: LeadingDesk | None, remote: VenueDesk | None) -> None:
        self._engine = engine
        self._remote = remote

    async def carry_out(self, commands: Sequence[Command]) -> list[Answer]:
        """Carry out commands one after the other; return what became of each once it is committed.

        Raises:
            EngineElsewhere, VenueBusy: nothing was carried out.
            OrderOutcomeUnknown: all of it may have been carried out, or nothing.
        """
        if self._engine is not None and self._engine.is_leading:
            try:
                return await self._engine.carry_out(commands)
            except EngineElsewhere:
                # The lead was lost while they waited: nothing has happened to them.
                if self._remote is None:
                    raise
        return await self._elsewhere().carry_out(commands)

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        """Return the ids of an account's open orders, of one instrument or of all: newest first.

        Raises:
            EngineElsewhere, VenueBusy: the books are not at hand.
        """
        return await self._looked(lambda desk: desk.open_orders(account_id, instrument_id))

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        """Return the committed book of an instrument.

        Raises:
            EngineElsewhere, VenueBusy: the book is not at hand.
        """
        return await self._looked(lambda desk: desk.depth(instrument_id, levels_max))

    async def _looked(self, look: Callable[[VenueDesk], Awaitable[_Seen]]) -> _Seen:
        if self._engine is not None and self._engine.is_leading:
            try:
                return await look(self._engine)
            except EngineElsewhere:
                # The lead was lost meanwhile.
                if self._remote is None:
                    raise
        return await look(self._elsewhere())

    def _elsewhere(self) -> VenueDesk:
        if self._remote is None:
            raise EngineElsewhere(retry_after_seconds=_RETRY_AFTER_SECONDS)
        return self._remote
