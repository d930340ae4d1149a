"""Gather what waits, decide it together, commit it once, answer each.

One pool stands behind all merchants, so one row is changed by every withdrawal. Taken one at a
time they would queue for its lock and for a commit each. One writer per process takes what has
come meanwhile instead, and commits it as one group (bench/withdrawals.py); processes queue for the
pool's lock group by group. Nobody is answered before the commit, and an unknown commit is asked
about, by its keys, not guessed.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from backend.app.clock import Clock
from backend.app.errors import DatabaseUnavailable, WithdrawalQueueFull
from backend.app.logs import logger
from backend.app.repositories.withdrawal_book import WithdrawalBook
from backend.app.services.idempotency.keyed import Answer, in_progress, refuse_other, reused
from backend.app.services.withdrawals.decision import WithdrawalAsked, decide
from backend.app.services.withdrawals.settlement import Settlement

BATCH_WITHDRAWALS_MAX: Final = 500
QUEUE_WITHDRAWALS_MAX: Final = 5_000
# A withdrawal waits at most this long to be taken into a batch, and a batch for its commit.
WITHDRAWAL_WAIT_SECONDS_MAX: Final = 5.0
BATCH_SECONDS_MAX: Final = 10.0
DRAIN_SECONDS_MAX: Final = 10.0
_RETRY_AFTER_SECONDS: Final = 2
_LOG: Final = logger(__name__)


class _Waiting(NamedTuple):
    asked: WithdrawalAsked
    answered: asyncio.Future[Answer]
    until: float


class WithdrawalWriter:
    """The writer of one process. `start` it before anything is booked."""

    def __init__(
        self,
        book: WithdrawalBook,
        settlement: Settlement,
        now: Clock,
        *,
        queue_max: int = QUEUE_WITHDRAWALS_MAX,
        wait_seconds_max: float = WITHDRAWAL_WAIT_SECONDS_MAX,
    ) -> None:
        self._book = book
        self._settlement = settlement
        self._now = now
        self._queue_max = queue_max
        self._wait_seconds_max = wait_seconds_max
        self._waiting: deque[_Waiting] = deque()
        self._under_way: dict[tuple[int, str], bytes] = {}
        self._arrived = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def start(self) -> None:
        """Start the writer."""
        self._is_stopping = False
        self._writer = asyncio.create_task(self._write(), name="withdrawal-writer")

    async def stop(self) -> None:
        """Take nothing more, book what waits, and let the writer go."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self._is_stopping = True
        self._arrived.set()
        await asyncio.wait({writer}, timeout=DRAIN_SECONDS_MAX)
        writer.cancel()
        await asyncio.wait({writer})
        _refuse(self._waiting, _unknown)
        self._waiting.clear()
        self._book.close()

    async def book(self, asked: WithdrawalAsked) -> Answer:
        """Return what was decided, once it is committed.

        Raises:
            IdempotencyInProgress: the same request is under way in this process.
            IdempotencyKeyReused: the key came with another body before.
            WithdrawalQueueFull: too many wait, or this one waited too long. Nothing happened.
            DatabaseUnavailable: nothing happened, or it is not known: the key will tell.
        """
        under_way = self._under_way.get(asked.scope)
        if under_way is not None:
            refuse_other(under_way, asked.fingerprint)
            raise in_progress()
        if self._writer is None or len(self._waiting) >= self._queue_max:
            raise _full()
        return await self._join(asked)

    def _join(self, asked: WithdrawalAsked) -> asyncio.Future[Answer]:
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        self._under_way[asked.scope] = asked.fingerprint
        answered.add_done_callback(lambda _: self._under_way.pop(asked.scope, None))
        # No timer each: the writer looks at the clock for all.
        self._waiting.append(_Waiting(asked, answered, loop.time() + self._wait_seconds_max))
        self._arrived.set()
        return answered

    async def _write(self) -> None:
        while self._waiting or not self._is_stopping:
            await self._arrived.wait()
            batch = self._gather()
            if batch:
                await self._settle_batch(batch)

    def _gather(self) -> list[_Waiting]:
        """Take the next batch, and refuse those that have waited too long to be in any."""
        waiting = self._waiting
        now = asyncio.get_running_loop().time()
        batch: list[_Waiting] = []
        while waiting and len(batch) < BATCH_WITHDRAWALS_MAX:
            first = waiting.popleft()
            if first.until < now:
                _refuse((first,), _full)
            elif not first.answered.done():
                # Whoever gave up waiting has cancelled its own: nothing happens for it.
                batch.append(first)
        if not waiting and not self._is_stopping:
            self._arrived.clear()
        return batch

    async def _settle_batch(self, batch: list[_Waiting]) -> None:
        try:
            await self._attempt(batch)
        except (DatabaseUnavailable, TimeoutError):
            # Perhaps it was committed. The next try finds its keys then, or does the work.
            await self._try_again(batch)
        except Exception as error:  # noqa: BLE001 - one bad request must not fail its batch mates
            _LOG.error("withdrawal_batch_failed", kind=type(error).__name__, n=len(batch))
            for waiting in batch:
                await self._try_again([waiting])
        finally:
            # Also when we are cancelled: whether the commit was reached is not known any more.
            _refuse(batch, _unknown)

    async def _try_again(self, batch: list[_Waiting]) -> None:
        try:
            await self._attempt(batch, again=True)
        except (DatabaseUnavailable, TimeoutError):
            _refuse(batch, _unknown)
        except Exception as error:  # noqa: BLE001 - the writer outlives a defect in one request
            defect = error
            _LOG.error("withdrawal_failed", kind=type(error).__name__, n=len(batch))
            # Mostly alone by now: its own caller is answered as for any defect, if he still waits.
            _refuse(batch[:1], lambda: defect)

    async def _attempt(self, batch: list[_Waiting], *, again: bool = False) -> None:
        asked = [waiting.asked for waiting in batch]
        async with asyncio.timeout(BATCH_SECONDS_MAX), self._book.opened() as book:
            standing = await book.read([each.scope for each in asked])
            at = self._now()
            status = self._settlement.booked_status
            decided = decide(asked, standing, at, again=again, booked_status=status)
            booked = [booking.id for booking in decided.bookings]
            if booked:
                await self._settlement.enqueue(book.connection, booked)
            if decided.answers:
                await book.write(at, decided.bookings, decided.answers, decided.records)
        _answer(batch, decided.outcomes)
        if booked:
            self._settlement.booked(booked)


def _answer(batch: Sequence[_Waiting], outcomes: Sequence[Answer | None]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Answer):
            with suppress(asyncio.InvalidStateError):
                waiting.answered.set_result(outcome)
        else:
            _refuse((waiting,), reused)


def _refuse(batch: Iterable[_Waiting], refusal: Callable[[], Exception]) -> None:
    for waiting in batch:
        # Whoever gave up waiting has cancelled its own; others may be answered already.
        if not waiting.answered.done():
            waiting.answered.set_exception(refusal())


def _full() -> WithdrawalQueueFull:
    return WithdrawalQueueFull(
        "Too many withdrawals wait to be booked. Ask again with the same Idempotency-Key.",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


def _unknown() -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "It is not known whether this was booked. Ask again with the same Idempotency-Key.",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )
