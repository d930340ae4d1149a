"""Who waits at an engine: for commands to be carried out, and for books to be shown."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from backend.app.errors import StrongroomError, VenueBusy
from backend.app.services.venue.desk import Answer
from backend.app.services.venue.flight import Flight, Waiting
from backend.app.venue.books import Books
from backend.app.venue.commands import Command

BATCH_ORDERS_MAX: Final = 5_000
QUEUE_ORDERS_MAX: Final = 20_000
AHEAD_ORDERS_MIN: Final = 100
"""So many must wait for a batch to be decided while another is written; fewer wait for it."""
BOOKS_WAITING_MAX: Final = 1_000
_RETRY_AFTER_SECONDS: Final = 1

_Seen = TypeVar("_Seen")


class _Watching(NamedTuple):
    look: Callable[[Books], Any]
    answered: "asyncio.Future[Any]"


class WaitingRoom:
    """The queue of an engine; first come, first served. `news` is called whenever it grows."""

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self._waiting: deque[Waiting] = deque()
        self._watching: deque[_Watching] = deque()
        self.orders = 0
        """How many commands wait."""

    def ask(self, commands: Sequence[Command]) -> "asyncio.Future[list[Answer]]":
        """Let somebody wait for what becomes of commands.

        Raises:
            VenueBusy: too many wait.
        """
        orders = self.orders + len(commands)
        if orders > QUEUE_ORDERS_MAX:
            raise VenueBusy(retry_after_seconds=_RETRY_AFTER_SECONDS)
        answered: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append((commands, answered))
        self.orders = orders
        self._news()
        return answered

    def watch(self, look: Callable[[Books], _Seen]) -> "asyncio.Future[_Seen]":
        """Let somebody wait for what is to be seen in the books.

        Raises:
            VenueBusy: too many wait.
        """
        if len(self._watching) >= BOOKS_WAITING_MAX:
            raise VenueBusy(retry_after_seconds=_RETRY_AFTER_SECONDS)
        answered: asyncio.Future[_Seen] = asyncio.get_running_loop().create_future()
        self._watching.append(_Watching(look, answered))
        self._news()
        return answered

    def has_group(self, *, is_alone: bool) -> bool:
        """Whether a batch is to be made of those who wait; `is_alone` if none is being written."""
        return bool(self._waiting) and (is_alone or self.orders >= AHEAD_ORDERS_MIN)

    def gather(self, *, is_alone: bool) -> tuple[list[Waiting], list[Command]]:
        """Take out those whose commands make the next batch."""
        room = BATCH_ORDERS_MAX
        if is_alone and self.orders >= 2 * AHEAD_ORDERS_MIN:
            # The other half is decided while this one is written, and so on from here.
            room = min(room, self.orders // 2)
        waiting = self._waiting
        group: list[Waiting] = []
        commands: list[Command] = []
        while waiting and (not group or len(commands) + len(waiting[0][0]) <= room):
            taken = waiting.popleft()
            commands += taken[0]
            group.append(taken)
        self.orders -= len(commands)
        if waiting:
            self._news()
        return group, commands

    def show(self, books: Books, last: Flight | None) -> None:
        """Answer who asked for a look, as soon as `last`, which the books rest on, is committed."""
        while self._watching:
            look, answered = self._watching.popleft()
            seen = look(books)
            if last is not None:
                last.show(answered, seen)
            elif not answered.done():
                answered.set_result(seen)

    def is_empty(self) -> bool:
        """Whether nobody waits for anything to be carried out."""
        return not self._waiting

    def refuse(self, refusal: Callable[[], StrongroomError]) -> None:
        """Send everybody away."""
        waiting: list[asyncio.Future[Any]] = [answered for _, answered in self._waiting]
        waiting += [each.answered for each in self._watching]
        self._waiting.clear()
        self._watching.clear()
        self.orders = 0
        for answered in waiting:
            if not answered.done():
                answered.set_exception(refusal())
