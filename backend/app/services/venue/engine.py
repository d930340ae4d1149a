"""The engine of one shard: gather what waits, decide in memory, commit as one, then answer.

It may run in any number of processes: one leads, the others stand by and take over by themselves.
What is in memory counts for nothing until it is committed: after any trouble the books are thrown
away and made anew from the database before anything else is decided.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from backend.app.clock import Clock
from backend.app.errors import (
    ClientOrderIdTaken,
    DatabaseUnavailable,
    EngineElsewhere,
    OrderOutcomeUnknown,
    StrongroomError,
    VenueBusy,
)
from backend.app.logs import logger
from backend.app.repositories.venue_ledger import Known, LeadLost, VenueLedger
from backend.app.venue.books import Books
from backend.app.venue.commands import NewOrder
from backend.app.venue.instruments import Instrument
from backend.app.venue.orders import Side

BATCH_ORDERS_MAX: Final = 5_000
QUEUE_ORDERS_MAX: Final = 20_000
BOOKS_WAITING_MAX: Final = 1_000
COMMIT_SECONDS_MAX: Final = 10.0
LOAD_SECONDS_MAX: Final = 120.0
DRAIN_SECONDS_MAX: Final = 15.0
CONFIRM_SECONDS: Final = 3.0
STANDBY_SECONDS: Final = 0.5
_RETRY_AFTER_SECONDS: Final = 1
_LOG: Final = logger(__name__)

Answer = Known | StrongroomError
Depth = tuple[list[tuple[int, int]], list[tuple[int, int]]]


class _Waiting(NamedTuple):
    orders: Sequence[NewOrder]
    answered: "asyncio.Future[list[Answer]]"


class _Watching(NamedTuple):
    instrument_id: int
    levels_max: int
    answered: "asyncio.Future[Depth]"


class VenueEngine:
    """A worker that leads its shard, or waits to. What it is asked elsewhere, it refuses."""

    name = "venue-engine"
    interval_seconds = STANDBY_SECONDS

    def __init__(self, ledger: VenueLedger, now: Clock) -> None:
        self._ledger = ledger
        self._now = now
        self._books: Books | None = None
        self._instruments: dict[int, Instrument] = {}
        self._waiting: deque[_Waiting] = deque()
        self._watching: deque[_Watching] = deque()
        self._orders_waiting = 0
        self._arrived = asyncio.Event()
        self._leads = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._is_stopping = False

    @property
    def is_leading(self) -> bool:
        """Whether orders are taken here."""
        return self._books is not None and not self._is_stopping

    async def led(self) -> None:
        """Wait until orders are taken here."""
        await self._leads.wait()

    async def place(self, order: NewOrder) -> Known:
        """Return the order as it is once it is committed; it was checked before.

        Raises:
            ClientOrderIdTaken: the account has placed another order under this id.
            EngineElsewhere: nothing was placed, and here nothing will be now.
            VenueBusy: too many wait; nothing was placed.
            OrderOutcomeUnknown: it may have been placed, or not.
        """
        [answer] = await self.place_all((order,))
        if isinstance(answer, StrongroomError):
            raise answer
        return answer

    async def place_all(self, orders: Sequence[NewOrder]) -> list[Answer]:
        """Place several orders, one after the other, in one batch; return what became of each.

        Raises:
            EngineElsewhere, VenueBusy, OrderOutcomeUnknown: as for one, of all of them.
        """
        if not self.is_leading:
            raise _elsewhere()
        if self._orders_waiting + len(orders) > QUEUE_ORDERS_MAX:
            raise VenueBusy(retry_after_seconds=_RETRY_AFTER_SECONDS)
        answered: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(orders, answered))
        self._orders_waiting += len(orders)
        self._arrived.set()
        return await answered

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        """Return the committed book of an instrument: bids and asks, the best first.

        Raises:
            EngineElsewhere: the book is not kept here.
            VenueBusy: too many wait for a book.
        """
        if not self.is_leading:
            raise _elsewhere()
        if len(self._watching) >= BOOKS_WAITING_MAX:
            raise VenueBusy(retry_after_seconds=_RETRY_AFTER_SECONDS)
        answered: asyncio.Future[Depth] = asyncio.get_running_loop().create_future()
        self._watching.append(_Watching(instrument_id, levels_max, answered))
        self._arrived.set()
        return await answered

    async def tick(self) -> None:
        """Try to lead; whoever does, leads until it is stopped or the lead is lost."""
        if self._is_stopping:
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                leads = await self._ledger.take_lead(self._now())
            if leads:
                await self._lead()
        except (DatabaseUnavailable, LeadLost, TimeoutError) as trouble:
            _LOG.warning("venue_lead_lost", kind=type(trouble).__name__)
            self._ledger.close()

    async def stop(self) -> None:
        """Take nothing more, commit and answer what waits, and let another engine lead."""
        self._is_stopping = True
        self._arrived.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await self._ended.wait()

    async def close(self) -> None:
        """Let go of the lead, if it is still held."""
        self._ledger.close()

    async def _lead(self) -> None:
        self._ended.clear()
        try:
            async with asyncio.timeout(LOAD_SECONDS_MAX):
                instruments, self._books = await self._ledger.load()
            self._instruments = {each.id: each for each in instruments}
            _LOG.info("venue_leading")
            self._leads.set()
            while self._waiting or not self._is_stopping:
                await self._next(self._books)
        finally:
            self._books = None
            self._leads.clear()
            self._ledger.close()
            self._refuse_all()
            self._ended.set()

    async def _next(self, books: Books) -> None:
        """Do what there is to do, or say that we are there."""
        if not self._arrived.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_SECONDS):
                    await self._arrived.wait()
        # Between two batches, what is in memory is what is committed.
        self._show_books(books)
        group = self._gather()
        if group:
            await self._carry_out(books, group)
        elif not self._is_stopping:
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                await self._ledger.confirm()

    def _gather(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        room = BATCH_ORDERS_MAX
        while self._waiting and (not group or len(self._waiting[0].orders) <= room):
            taken = self._waiting.popleft()
            room -= len(taken.orders)
            group.append(taken)
        self._orders_waiting -= BATCH_ORDERS_MAX - room
        if not self._waiting and not self._is_stopping:
            self._arrived.clear()
        return group

    async def _carry_out(self, books: Books, group: list[_Waiting]) -> None:
        refusal = _elsewhere
        try:
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                plan = _Plan(group, await self._known(group))
                at = self._now()
                if plan.orders:
                    batch = books.carry_out(plan.orders)
                    refusal = _unknown
                    await self._ledger.write(batch, at)
                    plan.placed(batch.first_number, [each.executed for each in batch.placed], at)
        except LeadLost:
            _refuse(group, _elsewhere)
            raise
        except BaseException:
            # Also when we are cancelled: whether the commit was reached is not known any more.
            _refuse(group, refusal)
            raise
        for waiting in group:
            answers = [plan.answer(each) for each in waiting.orders]
            if not waiting.answered.done():
                waiting.answered.set_result(answers)

    async def _known(self, group: list[_Waiting]) -> dict[tuple[int, str], Known]:
        names = {
            (order.account_id, order.client_order_id)
            for waiting in group
            for order in waiting.orders
            if order.client_order_id is not None
        }
        return await self._ledger.named(list(names)) if names else {}

    def _show_books(self, books: Books) -> None:
        while self._watching:
            instrument_id, levels_max, answered = self._watching.popleft()
            if not answered.done():
                bids = books.depth(instrument_id, Side.BUY, levels_max)
                answered.set_result((bids, books.depth(instrument_id, Side.SELL, levels_max)))

    def _refuse_all(self) -> None:
        group, self._orders_waiting = list(self._waiting), 0
        self._waiting.clear()
        _refuse(group, _elsewhere)
        while self._watching:
            answered = self._watching.popleft().answered
            if not answered.done():
                answered.set_exception(_elsewhere())


class _Plan:
    """Which orders of a group are new, and what each is answered with."""

    def __init__(self, group: list[_Waiting], known: dict[tuple[int, str], Known]) -> None:
        self.orders: list[NewOrder] = []
        self._known = known
        self._places: dict[tuple[int, str], int] = {}
        self._number = 0
        for waiting in group:
            for order in waiting.orders:
                if order.client_order_id is None:
                    self.orders.append(order)
                else:
                    self._add_named(order, (order.account_id, order.client_order_id))
        self._anonymous = (
            number for number, order in enumerate(self.orders) if order.client_order_id is None
        )

    def _add_named(self, order: NewOrder, name: tuple[int, str]) -> None:
        # The same again, from before or in this very group, is placed once.
        if name not in self._known and name not in self._places:
            self._places[name] = len(self.orders)
            self.orders.append(order)

    def placed(self, first_order_id: int, executed: Sequence[int], at: datetime) -> None:
        self._first_order_id, self._executed, self._at = first_order_id, executed, at

    def answer(self, order: NewOrder) -> Answer:
        """Answer the orders of the group, in their order."""
        if order.client_order_id is None:
            return self._new(next(self._anonymous), order)
        name = order.account_id, order.client_order_id
        place = self._places.get(name)
        known = self._known[name] if place is None else self._new(place, self.orders[place])
        return known if known.order == order else ClientOrderIdTaken()

    def _new(self, place: int, order: NewOrder) -> Known:
        return Known(self._first_order_id + place, order, self._executed[place], self._at)


def _refuse(group: Sequence[_Waiting], refusal: Callable[[], StrongroomError]) -> None:
    for waiting in group:
        # Whoever gave up waiting has cancelled its own.
        if not waiting.answered.done():
            waiting.answered.set_exception(refusal())


def _unknown() -> StrongroomError:
    return OrderOutcomeUnknown(retry_after_seconds=_RETRY_AFTER_SECONDS)


def _elsewhere() -> StrongroomError:
    return EngineElsewhere(retry_after_seconds=_RETRY_AFTER_SECONDS)
