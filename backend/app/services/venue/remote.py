"""A shard that another process leads, asked through Redis."""

import secrets
from collections.abc import Sequence
from typing import Final, TypeVar

from backend.app.errors import EngineElsewhere, OrderOutcomeUnknown
from backend.app.services.venue.correspondence import Text, VenueCorrespondence
from backend.app.services.venue.desk import Answer, Depth
from backend.app.services.venue.wire import (
    Book,
    LetterUnreadable,
    OpenOrders,
    Reply,
    book_ask,
    commands_ask,
    open_orders_ask,
    read_answers,
)
from backend.app.venue.commands import Command, MoveFunds, NewOrder

MADE_NAME: Final = "~"
"""How the name of an order begins whose owner gave it none. No owner may begin one so."""
_NAME_BYTES: Final = 16
_RETRY_AFTER_SECONDS: Final = 1

_Seen = TypeVar("_Seen")


class RemoteVenue:
    """A `VenueDesk` that sends what it is asked to the process that leads the shard."""

    def __init__(self, shard: int, correspondence: VenueCorrespondence) -> None:
        self._shard = shard
        self._correspondence = correspondence

    async def carry_out(self, commands: Sequence[Command]) -> list[Answer]:
        """Carry out commands one after the other; return what became of each once it is committed.

        An order without a name gets one, so that it is placed once however often it arrives.

        Raises:
            EngineElsewhere, VenueBusy: nothing was carried out.
            OrderOutcomeUnknown: all of it may have been carried out, or nothing.
            PayloadTooLarge: more commands than go into a letter.
        """
        named = [_named(each) for each in commands]
        reply = await self._correspondence.ask(
            self._shard,
            lambda number, until: commands_ask(number, until, self._shard, named),
            is_repeatable=not has_unnamed(named),
        )
        try:
            return read_answers(named, reply)
        except LetterUnreadable:
            raise OrderOutcomeUnknown(retry_after_seconds=_RETRY_AFTER_SECONDS) from None

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        """Return the ids of an account's open orders, of one instrument or of all: newest first.

        Raises:
            EngineElsewhere, VenueBusy: the books are not at hand.
        """
        asked = OpenOrders(account_id, instrument_id)
        reply = await self._looked(
            lambda number, until: open_orders_ask(number, until, self._shard, asked)
        )
        return _seen(reply.open_orders)

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        """Return the committed book of an instrument.

        Raises:
            EngineElsewhere, VenueBusy: the book is not at hand.
        """
        book = Book(instrument_id, levels_max)
        reply = await self._looked(lambda number, until: book_ask(number, until, self._shard, book))
        return _seen(reply.book)

    async def _looked(self, text: Text) -> Reply:
        try:
            return await self._correspondence.ask(self._shard, text, is_repeatable=True)
        except OrderOutcomeUnknown:
            # There is no outcome of looking.
            raise EngineElsewhere(retry_after_seconds=_RETRY_AFTER_SECONDS) from None


def _seen(told: _Seen | None) -> _Seen:
    if told is None:
        raise EngineElsewhere(retry_after_seconds=_RETRY_AFTER_SECONDS)
    return told


def given_name(name: str | None) -> str | None:
    """Return the name an owner gave an order; None if it has none but one that was made here."""
    return None if name is None or name.startswith(MADE_NAME) else name


def has_unnamed(commands: Sequence[Command]) -> bool:
    """Tell whether to carry these out a second time could do more than the first did."""
    return any(not isinstance(each, NewOrder | MoveFunds) for each in commands)


def _named(command: Command) -> Command:
    if isinstance(command, NewOrder) and command.client_order_id is None:
        return command._replace(client_order_id=MADE_NAME + secrets.token_urlsafe(_NAME_BYTES))
    return command
