"""Drives withdrawals to their end: ⟦claim⟧ → ask the settlement → ⟦what became of it⟧.

The withdrawals' own rows are the queue. Nothing is decided here: a payout is settled or refused if
the settlement says so, and otherwise unknown and asked about again, under its own id. Whoever dies
in between leaves a claim that lapses.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from random import SystemRandom
from typing import Final, Protocol

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import SYSTEM, Caller
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import WithdrawalDecided
from backend.app.logs import logger
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.idempotency_repository import IdempotencyRepository, KeyScope
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.repositories.payout_repository import Claimed, PayoutRepository
from backend.app.schemas.withdrawal_schemas import WithdrawalShown
from backend.app.services.idempotency.keyed import STILL_RUNNING, Answer
from backend.app.services.settlement.outcomes import Outcome, Outcomes, begun_records, payout_of
from backend.app.services.settlement.verdicts import NotAsked, Payout, Refused, Verdict
from backend.app.services.settlement.waiting_room import Waiter, WaitingRoom
from backend.app.services.withdrawals.conclusion import given, key_scope
from backend.app.services.withdrawals.decision import WithdrawalAsked

# Longer than a batch and the blocks around it can take.
CLAIM_LASTS: Final = timedelta(minutes=1)
PAYOUTS_AT_ONCE_MAX: Final = 100
BATCHES_AT_ONCE_MAX: Final = 4
BOOKED_WAITING_MAX: Final = 5_000
# A caller waits at most this long for his payout; then he is told that it is under way.
CALLER_WAIT_SECONDS_MAX: Final = 4.0
# Whoever booked a withdrawal pays it out at once. After this long somebody else does.
UNTRIED_FOR: Final = timedelta(seconds=10)
_LOG: Final = logger(__name__)


class Payer(Protocol):
    """The way to the settlement."""

    async def pay(self, payout: Payout) -> Verdict:
        """Ask for a payout once. Never raises over what the far end does."""
        ...

    async def close(self) -> None:
        """Let go of the way."""
        ...


class GivesBack(Protocol):
    """Whoever moves money back to where a withdrawal took it from."""

    async def give_back(self, withdrawal_id: int, reason: str, caller: Caller) -> None:
        """Give it back, once however often it is said."""
        ...


class SettlementDesk:
    """Pays out what is booked in this process at once, and whatever is due, from anywhere."""

    def __init__(
        self,
        *,
        database: Database,
        payer: Payer,
        gives_back: GivesBack,
        now: Clock,
        is_async: bool = False,
        caller_wait_seconds_max: float = CALLER_WAIT_SECONDS_MAX,
    ) -> None:
        self._database = database
        self._payer = payer
        self._gives_back = gives_back
        self._now = now
        self._is_async = is_async
        self.booked_status: int = HTTPStatus.ACCEPTED if is_async else STILL_RUNNING
        self._caller_wait_seconds_max = caller_wait_seconds_max
        self._booked: deque[int] = deque()
        self._batches: set[asyncio.Task[None]] = set()
        self._room = WaitingRoom()
        self._is_closed = False

    async def enqueue(self, connection: asyncpg.Connection, withdrawal_ids: Sequence[int]) -> None:
        """Queue nothing more: the rows that are being written are the queue."""

    def booked(self, withdrawal_ids: Sequence[int]) -> None:
        """Begin to pay out what is committed, unless that is left to the queue."""
        if (
            self._is_async
            or self._is_closed
            or len(self._booked) + len(withdrawal_ids) > BOOKED_WAITING_MAX
        ):
            return
        self._booked.extend(withdrawal_ids)
        self._room.expect(withdrawal_ids)
        if len(self._batches) < BATCHES_AT_ONCE_MAX:
            batch = asyncio.create_task(self._pay_booked(), name="settlement-desk")
            self._batches.add(batch)
            batch.add_done_callback(self._end_batch)

    async def concluded(self, asked: WithdrawalAsked, answer: Answer) -> Answer:
        """Return what a caller is told, once his withdrawal is paid out or he has waited enough.

        What comes back still running is not known here, or not yet.
        """
        if answer.status != STILL_RUNNING:
            return answer
        booked = WithdrawalShown.model_validate_json(answer.body)
        if not self._room.is_expected(booked.id):
            return answer
        return await self._told(Waiter(asked, booked)) or answer

    async def settle_due(self) -> bool:
        """Pay out a bounded number of what is due; return whether to look again at once."""
        now = self._now()
        untried_for = timedelta() if self._is_async else UNTRIED_FOR
        async with self._database.transaction() as session:
            claimed = await PayoutRepository(session).claim(
                now, now + CLAIM_LASTS, PAYOUTS_AT_ONCE_MAX, untried_for=untried_for
            )
            await _record_begun(session, claimed, now)
        outcomes = await self._pay([payout_of(each, now + CLAIM_LASTS) for each in claimed])
        is_away = any(isinstance(each.verdict, NotAsked) for each in outcomes)
        return len(claimed) == PAYOUTS_AT_ONCE_MAX and not is_away

    async def close(self) -> None:
        """Break off what is under way: its claim lapses, and somebody asks again."""
        self._is_closed = True
        batches = list(self._batches)
        for batch in batches:
            batch.cancel()
        await asyncio.gather(*batches, return_exceptions=True)

    async def _told(self, waiter: Waiter) -> Answer | None:
        self._room.enter(waiter)
        try:
            async with asyncio.timeout(self._caller_wait_seconds_max):
                return await asyncio.shield(waiter.told)
        except TimeoutError:
            # Whoever is being told this moment waits for that.
            return None if self._room.leave(waiter.booked.id) else await waiter.told
        finally:
            self._room.leave(waiter.booked.id)

    async def _pay_booked(self) -> None:
        while self._booked:
            size = min(len(self._booked), PAYOUTS_AT_ONCE_MAX)
            ids = [self._booked.popleft() for _ in range(size)]
            try:
                await self._pay(await self._claim_booked(ids))
            finally:
                self._room.dismiss(ids)

    async def _claim_booked(self, ids: Sequence[int]) -> list[Payout]:
        now = self._now()
        async with self._database.transaction() as session:
            claimed = await PayoutRepository(session).claim_booked(ids, now, now + CLAIM_LASTS)
            await _record_begun(session, claimed, now)
        return [payout_of(each, now + CLAIM_LASTS) for each in claimed]

    async def _pay(self, payouts: Sequence[Payout]) -> list[Outcome]:
        """Ask for all at once, and write down together what has come back meanwhile."""
        asked = {asyncio.create_task(self._ask(payout)) for payout in payouts}
        outcomes: list[Outcome] = []
        try:
            while asked:
                done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                come_back = [each.result() for each in done]
                await self._keep(come_back)
                outcomes += come_back
        finally:
            for each in asked:
                each.cancel()
        return outcomes

    async def _ask(self, payout: Payout) -> Outcome:
        return Outcome(payout, await self._payer.pay(payout))

    async def _keep(self, come_back: Sequence[Outcome]) -> None:
        waiters = self._room.take([each.payout.withdrawal_id for each in come_back])
        try:
            for each in come_back:
                if isinstance(each.verdict, Refused):
                    await self._return_money(each.payout, each.verdict)
            at = self._now()
            outcomes = Outcomes(come_back, at, SystemRandom().random)
            answers = outcomes.answers(waiters)
            written = await self._write(outcomes, answers)
        except BaseException:
            for waiter in waiters:
                waiter.tell(None)
            raise
        for waiter, answer in answers:
            waiter.tell(answer if key_scope(waiter.asked) in written else None)

    async def _write(
        self, outcomes: Outcomes, answers: Sequence[tuple[Waiter, Answer]]
    ) -> set[KeyScope]:
        """Write how payouts ended and who is told what; return the keys that are answered so."""
        async with self._database.transaction() as session:
            payouts = PayoutRepository(session)
            settled = dict(await payouts.settle(outcomes.settled_ids, outcomes.at))
            put_off = set()
            if outcomes.put_off:
                put_off = await payouts.put_off(outcomes.put_off, outcomes.at)
            written = await IdempotencyRepository(session).answer(
                [given(waiter.asked, answer) for waiter, answer in answers]
            )
            await NotificationRepository(session).add(*outcomes.news(settled))
            records = outcomes.records(settled, put_off)
            if records:
                await AuditRepository(session).append(records)
        for withdrawal_id in outcomes.given_up_ids & put_off:
            _LOG.error("settlement_given_up", withdrawal_id=withdrawal_id)
        return written

    async def _return_money(self, payout: Payout, refused: Refused) -> None:
        try:
            await self._gives_back.give_back(payout.withdrawal_id, refused.reason, SYSTEM)
        except WithdrawalDecided:
            # The settlement has said both yes and no of one id: only a person can tell.
            _LOG.error("settlement_contradicts_itself", withdrawal_id=payout.withdrawal_id)

    def _end_batch(self, batch: "asyncio.Task[None]") -> None:
        self._batches.discard(batch)
        if not batch.cancelled() and (error := batch.exception()) is not None:
            # Its claims lapse, and whoever looks next asks again.
            _LOG.warning("settlement_batch_failed", kind=type(error).__name__)


async def _record_begun(session: AsyncSession, claimed: Sequence[Claimed], at: datetime) -> None:
    if records := begun_records(claimed, at):
        await AuditRepository(session).append(records)
