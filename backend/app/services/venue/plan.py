"""Which commands of a group are new, and what each of the group is answered with."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from backend.app.errors import (
    ClientOrderIdTaken,
    InsufficientFunds,
    OrderNotOpen,
    OrderRefused,
    PostOnlyWouldTake,
    StrongroomError,
    TooManyOpenOrders,
    TransferReferenceTaken,
)
from backend.app.repositories.venue_names import Known, KnownTransfer, Memory, Name
from backend.app.services.venue.desk import Answer
from backend.app.venue.batch import Batch, Done, Refused
from backend.app.venue.commands import Command, MoveFunds, NewOrder
from backend.app.venue.events import RejectReason

_REFUSALS: Final[Mapping[RejectReason, type[StrongroomError]]] = {
    RejectReason.INSUFFICIENT_FUNDS: InsufficientFunds,
    RejectReason.TOO_MANY_OPEN_ORDERS: TooManyOpenOrders,
    RejectReason.WOULD_TAKE: PostOnlyWouldTake,
    RejectReason.NOT_OPEN: OrderNotOpen,
}
# What a named tuple's own constructor does, without its detour (bench/venue.py).
_new = tuple.__new__


def name_of(command: Command) -> Name | None:
    """Return the account's own name of what it asks, under which it is done once."""
    if type(command) is NewOrder:
        name = command.client_order_id
        return None if name is None else Name("order", command.account_id, name)
    if type(command) is MoveFunds:
        return Name("transfer", command.account_id, command.reference)
    return None


def names_of(commands: Sequence[Command]) -> list[Name]:
    """Return the names of those commands that have one."""
    return [
        name
        for each in commands
        # Most have none: told without a call.
        if (type(each) is not NewOrder or each.client_order_id is not None)
        and (name := name_of(each)) is not None
    ]


class Plan:
    """A group of commands: those that are new make a batch, and then all can be answered."""

    def __init__(self, asked: Sequence[Command], has_names: bool, known: Memory) -> None:
        self._asked = asked
        self._known = known
        # Where in the batch each new name is.
        self._places: dict[Name, int] = {}
        self.commands: Sequence[Command] = asked
        self.learned: Memory = {}
        """What the batch has made known by names of accounts' own."""
        if has_names:
            self.commands = list(self._fresh())

    def answers(self, batch: Batch, at: datetime) -> list[Answer]:
        """Return what each command is answered with once the batch is committed."""
        if len(batch.placed) == len(self.commands):
            # Orders, and none of them refused.
            fresh: list[Answer] = [_new(Known, (*placed, at)) for placed in batch.placed]
        else:
            fresh = list(_answers(self.commands, batch, at))
        if self.commands is self._asked:
            return fresh
        for name, place in self._places.items():
            stored = _stored(self.commands[place], fresh[place])
            if stored is not None:
                self.learned[name] = stored
        rest = (
            answer
            for command, answer in zip(self.commands, fresh, strict=True)
            if name_of(command) is None
        )
        return [self._answer(each, rest, fresh) for each in self._asked]

    def _fresh(self) -> Iterator[Command]:
        count = 0
        for command in self._asked:
            name = name_of(command)
            if name is not None:
                # The same again, from before or in this very group, is done once.
                if name in self._known or name in self._places:
                    continue
                self._places[name] = count
            count += 1
            yield command

    def _answer(self, command: Command, rest: Iterator[Answer], fresh: list[Answer]) -> Answer:
        name = name_of(command)
        if name is None:
            return next(rest)
        stored = self._known.get(name) or self.learned.get(name)
        if stored is not None:
            return _again(command, stored)
        # It was refused, so there is nothing under its name; nor under that of its double.
        place = self._places[name]
        return fresh[place] if self.commands[place] == command else _taken(command)


def _answers(commands: Sequence[Command], batch: Batch, at: datetime) -> Iterator[Answer]:
    placed = iter(batch.placed)
    for command, outcome in zip(commands, batch.outcomes, strict=True):
        if isinstance(outcome, Refused):
            yield _refusal(outcome.reason)
        elif type(command) is NewOrder:
            yield _new(Known, (*next(placed), at))
        else:
            yield outcome


def _refusal(reason: RejectReason) -> StrongroomError:
    kind = _REFUSALS.get(reason)
    return OrderRefused(facts={"rule": reason.value}) if kind is None else kind()


def _stored(command: Command, answer: Answer) -> Known | KnownTransfer | None:
    if isinstance(answer, Known):
        return answer
    if isinstance(command, MoveFunds) and isinstance(answer, Done):
        return KnownTransfer(answer.number, command.asset, command.amount)
    return None


def _again(command: Command, stored: Known | KnownTransfer) -> Answer:
    if isinstance(stored, Known):
        return stored if stored.order == command else ClientOrderIdTaken()
    same = isinstance(command, MoveFunds) and stored[1:] == (command.asset, command.amount)
    return Done(stored.number) if same else TransferReferenceTaken()


def _taken(command: Command) -> StrongroomError:
    return TransferReferenceTaken() if isinstance(command, MoveFunds) else ClientOrderIdTaken()
