"""The engine of one shard: gather what waits, decide in memory, commit as one, then answer.

While PostgreSQL writes one batch, the next is decided on top of it; it is sent when the first is
committed. What is in memory counts for nothing until it is committed: after any trouble the books
are thrown away and made anew from the database before anything else is decided.

It may run in any number of processes: one leads, the others stand by and take over by themselves.
"""

import asyncio
import gc
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from backend.app.clock import Clock
from backend.app.errors import (
    DatabaseUnavailable,
    EngineElsewhere,
    StrongroomError,
)
from backend.app.logs import logger
from backend.app.repositories.venue_ledger import LeadLost, VenueLedger
from backend.app.repositories.venue_names import Known
from backend.app.services.venue.admission import Admission
from backend.app.services.venue.desk import Answer, Depth
from backend.app.services.venue.flight import Flight
from backend.app.services.venue.plan import Plan, names_of
from backend.app.services.venue.snapshot_keeper import SNAPSHOT_COMMANDS_MAX, SnapshotKeeper
from backend.app.services.venue.waiting_room import WaitingRoom
from backend.app.venue.books import Books
from backend.app.venue.commands import Command, NewOrder
from backend.app.venue.orders import Side

COMMIT_SECONDS_MAX: Final = 10.0
LOAD_SECONDS_MAX: Final = 120.0
DRAIN_SECONDS_MAX: Final = 15.0
CONFIRM_SECONDS: Final = 3.0
STANDBY_SECONDS: Final = 0.5
COLLECT_AFTER: Final = (20_000, 50, 50)
"""So rarely does Python's collector look at all open orders: else half of our time was its own, and
it held everybody up for half a second (bench/venue.py)."""
_RETRY_AFTER_SECONDS: Final = 1
_LOG: Final = logger(__name__)


class VenueEngine:
    """A worker that leads its shard, or waits to. What it is asked elsewhere, it refuses."""

    interval_seconds = STANDBY_SECONDS

    def __init__(
        self,
        ledger: VenueLedger,
        now: Clock,
        snapshot_commands_max: int = SNAPSHOT_COMMANDS_MAX,
    ) -> None:
        self.name = f"venue-engine-{ledger.shard}"
        self._ledger = ledger
        self._now = now
        self._books: Books | None = None
        self._admission = Admission()
        self._snapshots = SnapshotKeeper(ledger, now, snapshot_commands_max)
        self._news = asyncio.Event()
        self._room = WaitingRoom(self._news.set)
        self._leads = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._is_stopping = False

    @property
    def is_leading(self) -> bool:
        """Whether commands are taken here."""
        return self._books is not None and not self._is_stopping

    @property
    def committed(self) -> int:
        """The number of the last batch of this shard that is committed, as far as known here."""
        return self._ledger.sequence

    async def led(self) -> None:
        """Wait until commands are taken here."""
        await self._leads.wait()

    async def place(self, order: NewOrder) -> Known:
        """Return the order as it is once it is committed; it was checked before.

        Raises:
            StrongroomError: nothing was placed; one of those `VenueDesk` names.
            EngineElsewhere, VenueBusy: nothing was placed.
            OrderOutcomeUnknown: it may have been placed, or not.
        """
        [answer] = await self._queued((order,))
        if isinstance(answer, Known):
            return answer
        assert isinstance(answer, StrongroomError)  # noqa: S101 - what an order is answered with
        raise answer

    async def carry_out(self, commands: Sequence[Command]) -> list[Answer]:
        """Carry out commands, one after the other, in one batch; return what became of each.

        Raises:
            OrderRefused, AssetUnknown, BadRequest: as `Admission`; none was carried out.
            EngineElsewhere, VenueBusy, OrderOutcomeUnknown: as `VenueDesk` says.
        """
        return await self._queued(commands)

    def _queued(self, commands: Sequence[Command]) -> "asyncio.Future[list[Answer]]":
        if self._books is None or self._is_stopping:
            raise _elsewhere()
        self._admission.check(commands)
        return self._room.ask(commands)

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        """Return the ids of an account's open orders, of one instrument or of all: newest first.

        Raises:
            EngineElsewhere: the books are not kept here.
            VenueBusy: too many wait for a book.
        """
        if not self.is_leading:
            raise _elsewhere()
        return await self._room.watch(lambda books: books.open_orders_of(account_id, instrument_id))

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        """Return the committed book of an instrument: bids and asks, the best first.

        Raises:
            SymbolUnknown: there is no such instrument.
            EngineElsewhere: the book is not kept here.
            VenueBusy: too many wait for a book.
        """
        if not self.is_leading:
            raise _elsewhere()
        self._admission.check_instrument(instrument_id)
        return await self._room.watch(
            lambda books: Depth(
                books.depth(instrument_id, Side.BUY, levels_max),
                books.depth(instrument_id, Side.SELL, levels_max),
            )
        )

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
            _LOG.warning("venue_lead_lost", worker=self.name, kind=type(trouble).__name__)
            self._ledger.close()

    async def stop(self) -> None:
        """Take nothing more, commit and answer what waits, and let another engine lead."""
        self._is_stopping = True
        self._news.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await self._ended.wait()

    async def close(self) -> None:
        """Let go of the lead, if it is still held."""
        self._ledger.close()

    async def _lead(self) -> None:
        self._ended.clear()
        gc.set_threshold(*COLLECT_AFTER)
        try:
            async with asyncio.timeout(LOAD_SECONDS_MAX):
                loaded = await self._ledger.load()
            self._admission = Admission(loaded.instruments)
            self._books = loaded.books
            self._snapshots.commands = loaded.commands_after_snapshot
            _LOG.info("venue_leading", worker=self.name, replayed=loaded.commands_after_snapshot)
            self._leads.set()
            await self._work(loaded.books)
        finally:
            self._books = None
            self._leads.clear()
            self._ledger.close()
            self._room.refuse(_elsewhere)
            self._ended.set()

    async def _work(self, books: Books) -> None:
        """Write one batch after the other, each decided while the one before it is written."""
        flying: Flight | None = None
        ready: Flight | None = None
        try:
            while flying or ready or not self._room.is_empty() or not self._is_stopping:
                self._news.clear()
                if flying is not None and flying.has_landed:
                    flying.check()
                    landed, flying = flying, None
                    if ready is not None:
                        flying, ready = self._launched(ready), None
                    landed.answer()
                if flying is None and self._snapshots.is_due:
                    await self._snapshots.take(books)
                if ready is None and self._may_decide(flying):
                    ready = await self._decide(books, flying)
                    if flying is None:
                        flying, ready = self._launched(ready), None
                self._room.show(books, ready or flying)
                await self._rest(books, flying)
            if self._snapshots.is_worth_it:
                await self._snapshots.take(books)
            await self._snapshots.finish()
        finally:
            for flight in (flying, ready):
                if flight is not None:
                    await flight.abandon()
            await self._snapshots.abandon()

    async def _rest(self, books: Books, flying: Flight | None) -> None:
        """Wait for news; without any for a while, say that we are there."""
        if flying is not None:
            await self._news.wait()
            return
        if self._is_stopping or self._news.is_set():
            return
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await self._news.wait()
        except TimeoutError:
            if self._snapshots.is_worth_it:
                await self._snapshots.take(books)
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                await self._ledger.confirm()

    def _may_decide(self, flying: Flight | None) -> bool:
        # A snapshot is taken where nothing is on its way.
        may = flying is None or not self._snapshots.is_due
        return may and self._room.has_group(is_alone=flying is None)

    async def _decide(self, books: Books, flying: Flight | None) -> Flight:
        """Decide what waits, on top of what is being written."""
        group, commands = self._room.gather(is_alone=flying is None)
        flight = Flight(group)
        try:
            names = names_of(commands)
            # What is being written may not be found yet, or found already: it is the same.
            known = dict(flying.learned) if flying is not None else {}
            if names:
                async with asyncio.timeout(COMMIT_SECONDS_MAX):
                    known |= await self._ledger.known(names)
            plan, at = Plan(commands, bool(names), known), self._now()
            batch = books.carry_out(plan.commands)
            flight.decided(plan.answers(batch, at), plan.learned)
            if batch.commands:
                async with asyncio.timeout(COMMIT_SECONDS_MAX):
                    flight.batch = await self._ledger.prepare(batch, at)
                self._snapshots.commands += len(batch.commands)
        except BaseException:
            await flight.abandon()
            raise
        return flight

    def _launched(self, flight: Flight) -> Flight:
        flight.launch(self._ledger, COMMIT_SECONDS_MAX, self._news.set)
        return flight


def _elsewhere() -> StrongroomError:
    return EngineElsewhere(retry_after_seconds=_RETRY_AFTER_SECONDS)
