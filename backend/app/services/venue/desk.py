"""Where a shard takes commands, whoever runs it: in this process, or in another."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from backend.app.errors import StrongroomError
from backend.app.repositories.venue_names import Known
from backend.app.venue.batch import Done
from backend.app.venue.commands import Command

__all__ = ["Answer", "Depth", "Known", "VenueDesk"]


class Depth(NamedTuple):
    """A committed book: prices in ticks with what rests at them in lots, the best first."""

    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


Answer = Known | Done | StrongroomError
"""What became of a command: the order, or the number it was carried out under, or a refusal."""


class VenueDesk(Protocol):
    """Takes the commands of one shard, or of several."""

    async def carry_out(self, commands: Sequence[Command]) -> list[Answer]:
        """Carry out commands one after the other; return what became of each once it is committed.

        Static rules of the instruments were checked before. What depends on what stands in the
        books is an answer: `InsufficientFunds`, `OrderNotOpen`, `PostOnlyWouldTake`,
        `TooManyOpenOrders`, `ClientOrderIdTaken`, `TransferReferenceTaken`, `OrderRefused`.

        Raises:
            EngineElsewhere: nothing was carried out, and here nothing will be now.
            VenueBusy: too many wait; nothing was carried out.
            OrderOutcomeUnknown: all of it may have been carried out, or nothing.
        """
        ...

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        """Return the ids of an account's open orders, of one instrument or of all: newest first.

        They are those of committed books, which know them without looking through old orders.

        Raises:
            EngineElsewhere: the books are not kept here.
            VenueBusy: too many wait for a book.
        """
        ...

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        """Return the committed book of an instrument.

        Raises:
            EngineElsewhere: the book is not kept here.
            VenueBusy: too many wait for a book.
        """
        ...
