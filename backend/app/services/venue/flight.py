"""A batch on its way: decided, then written, and only then answered."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from backend.app.errors import EngineElsewhere, OrderOutcomeUnknown, StrongroomError
from backend.app.repositories.venue_ledger import LeadLost, Ready, VenueLedger
from backend.app.repositories.venue_names import Memory
from backend.app.services.venue.desk import Answer
from backend.app.venue.commands import Command

_RETRY_AFTER_SECONDS: Final = 1

_Seen = TypeVar("_Seen")

Waiting = tuple[Sequence[Command], "asyncio.Future[list[Answer]]"]
"""Commands, and whoever waits for what became of them."""


class Flight:
    """Who waits for a batch, and what they are told when it is committed."""

    def __init__(self, group: Sequence[Waiting]) -> None:
        self._group = group
        self._answers: list[Answer] = []
        self._shown: list[tuple[asyncio.Future[Any], Any]] = []
        self._task: asyncio.Task[None] | None = None
        self.learned: Memory = {}
        """What it makes known by names of accounts' own."""
        self.batch: Ready | None = None
        """None, if all was refused or known: there is nothing to write."""

    @property
    def has_landed(self) -> bool:
        """Whether its writing has come to an end, good or bad."""
        return self._task is None or self._task.done()

    def decided(self, answers: list[Answer], learned: Memory) -> None:
        """Remember what to answer, for each command in order."""
        self._answers, self.learned = answers, learned

    def show(self, answered: "asyncio.Future[_Seen]", seen: _Seen) -> None:
        """Show what was seen in the books, as this batch leaves them, once it is committed."""
        self._shown.append((answered, seen))

    def launch(self, ledger: VenueLedger, seconds_max: float, landed: Callable[[], None]) -> None:
        """Begin to write; `landed` is called when that has ended."""
        if self.batch is None:
            landed()
            return
        self._task = asyncio.create_task(_written(ledger, self.batch, seconds_max))
        self._task.add_done_callback(lambda _: landed())

    def check(self) -> None:
        """Do nothing if the batch is committed.

        Raises:
            LeadLost: nothing was written.
            DatabaseUnavailable, TimeoutError: it is not known whether it was.
        """
        if self._task is not None:
            self._task.result()

    def answer(self) -> None:
        """Tell all who wait; the batch is committed."""
        begin = 0
        for commands, answered in self._group:
            end = begin + len(commands)
            # Whoever gave up waiting has cancelled its own.
            if not answered.done():
                answered.set_result(self._answers[begin:end])
            begin = end
        for shown, seen in self._shown:
            if not shown.done():
                shown.set_result(seen)

    async def abandon(self) -> None:
        """Break off, and tell all who wait whether anything may have come of it."""
        # Also when we are cancelled: whether the commit was reached is not known any more.
        refusal: type[StrongroomError] = OrderOutcomeUnknown
        if self._task is None:
            refusal = EngineElsewhere
        else:
            self._task.cancel()
            await asyncio.wait((self._task,))
            if not self._task.cancelled() and isinstance(self._task.exception(), LeadLost):
                refusal = EngineElsewhere
        waiting: list[asyncio.Future[Any]] = [answered for _, answered in self._group]
        waiting += [answered for answered, _ in self._shown]
        for answered in waiting:
            if not answered.done():
                answered.set_exception(refusal(retry_after_seconds=_RETRY_AFTER_SECONDS))


async def _written(ledger: VenueLedger, batch: Ready, seconds_max: float) -> None:
    async with asyncio.timeout(seconds_max):
        await ledger.write(batch)
