"""SQL for withdrawals on their way out: the queue, and what became of each. None commits.

A payout is claimed by moving its time forward. A claim that comes to nothing lapses: then it is
due again, under the same id. An open withdrawal without a time waits for a person.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Select, case, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import WithdrawalState
from backend.app.errors import WithdrawalNotFound
from backend.app.models.merchant import Merchant
from backend.app.models.withdrawal import Withdrawal

_Wanted = Select[int, int, int, Decimal, str, int, str]
_OPEN_STATES: Final = (
    WithdrawalState.REQUESTED.value,
    WithdrawalState.SETTLING.value,
    WithdrawalState.UNKNOWN.value,
)
_OPEN: Final = Withdrawal.state.in_(_OPEN_STATES)
_DEAD: Final = (_OPEN, Withdrawal.next_try_at.is_(None))

# A later claim, or an end, has moved the time: then this result is no news.
_PUT_OFF: Final = text(
    "UPDATE withdrawals AS w SET next_try_at = put.again_at,"
    " tries = w.tries - put.uncounted,"
    " changed_at = CASE WHEN put.reason IS NULL OR w.state = 'unknown'"
    "  THEN w.changed_at ELSE :at END,"
    " state = CASE WHEN put.reason IS NULL THEN w.state ELSE 'unknown' END,"
    " reason = coalesce(put.reason, w.reason)"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:untils AS timestamptz[]),"
    "  CAST(:agains AS timestamptz[]), CAST(:uncounted AS smallint[]), CAST(:reasons AS text[]))"
    "  AS put (id, until, again_at, uncounted, reason)"
    " WHERE w.id = put.id AND w.next_try_at = put.until"
    "  AND w.state IN ('requested', 'settling', 'unknown')"
    " RETURNING w.id"
)


class Claimed(NamedTuple):
    """A withdrawal that is ours for a while, as it was before, and where it is to be paid to."""

    id: int
    user_id: int
    account_id: int
    amount: Decimal
    state: str
    tries: int
    bank_account: str


class DeadLine(NamedTuple):
    """A withdrawal that waits for a person, and where it is to be paid to."""

    withdrawal: Withdrawal
    bank_account: str


class PutOff(NamedTuple):
    """A payout that came to nothing: when it is tried again, if ever, and why."""

    id: int
    until: datetime
    again_at: datetime | None
    uncounted: int
    reason: str | None


class PayoutRepository:
    """Withdrawals as whoever pays them out sees them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(
        self, now: datetime, until: datetime, rows_max: int, *, untried_for: timedelta
    ) -> list[Claimed]:
        """Take what is due and nobody else has; what nobody tried yet, only after a while."""
        due = (
            Withdrawal.next_try_at <= now,
            or_(Withdrawal.tries > 0, Withdrawal.requested_at <= now - untried_for),
        )
        return await self._claim(_open(*due).limit(rows_max), now, until)

    async def claim_booked(
        self, ids: Sequence[int], now: datetime, until: datetime
    ) -> list[Claimed]:
        """Take withdrawals that were booked just now, unless somebody tried them already."""
        return await self._claim(_open(Withdrawal.id.in_(ids), Withdrawal.tries == 0), now, until)

    async def settle(self, ids: Sequence[int], at: datetime) -> list[tuple[int, int]]:
        """Write that these were paid; return (id, owner) of those that were open until now."""
        settled = await self._session.execute(
            update(Withdrawal)
            .where(Withdrawal.id.in_(ids), _OPEN)
            .values(
                state=WithdrawalState.SETTLED.value, reason=None, changed_at=at, next_try_at=None
            )
            .returning(Withdrawal.id, Withdrawal.user_id)
            .execution_options(synchronize_session=False)
        )
        return [(row.id, row.user_id) for row in settled]

    async def put_off(self, put: Sequence[PutOff], at: datetime) -> set[int]:
        """Write when these are tried again; return those of which that is news."""
        ids, untils, agains, uncounted, reasons = (list(each) for each in zip(*put, strict=True))
        kept = await self._session.execute(
            _PUT_OFF,
            {
                "at": at,
                "ids": ids,
                "untils": untils,
                "agains": agains,
                "uncounted": uncounted,
                "reasons": reasons,
            },
        )
        return {row.id for row in kept}

    async def dead_page(self, before_id: int | None, rows_max: int) -> list[DeadLine]:
        """Return what waits for a person, the newest first."""
        wanted = _dead().where(*_DEAD)
        if before_id is not None:
            wanted = wanted.where(Withdrawal.id < before_id)
        found = await self._session.execute(wanted.order_by(Withdrawal.id.desc()).limit(rows_max))
        return [DeadLine._make(row) for row in found]

    async def hold(self, withdrawal_id: int) -> DeadLine:
        """Return a withdrawal, held until the block ends.

        Raises:
            WithdrawalNotFound: there is none of that id.
        """
        found = await self._session.execute(
            _dead().where(Withdrawal.id == withdrawal_id).with_for_update(of=Withdrawal)
        )
        row = found.one_or_none()
        if row is None:
            raise WithdrawalNotFound("There is no such withdrawal.")
        return DeadLine._make(row)

    async def _claim(self, which: _Wanted, now: datetime, until: datetime) -> list[Claimed]:
        claimed = [Claimed._make(row) for row in await self._session.execute(which)]
        was_requested = Withdrawal.state == WithdrawalState.REQUESTED.value
        await self._session.execute(
            update(Withdrawal)
            .where(Withdrawal.id.in_([each.id for each in claimed]))
            .values(
                tries=Withdrawal.tries + 1,
                next_try_at=until,
                state=case((was_requested, WithdrawalState.SETTLING.value), else_=Withdrawal.state),
                changed_at=case((was_requested, now), else_=Withdrawal.changed_at),
            )
            .execution_options(synchronize_session=False)
        )
        return claimed


def _dead() -> Select[Withdrawal, str]:
    return select(Withdrawal, Merchant.bank_account).join(
        Merchant, Merchant.user_id == Withdrawal.user_id
    )


def _open(*which: ColumnElement[bool]) -> _Wanted:
    return (
        select(
            Withdrawal.id,
            Withdrawal.user_id,
            Withdrawal.account_id,
            Withdrawal.amount,
            Withdrawal.state,
            Withdrawal.tries,
            Merchant.bank_account,
        )
        .join(Merchant, Merchant.user_id == Withdrawal.user_id)
        .where(_OPEN, Withdrawal.next_try_at.is_not(None), *which)
        .order_by(Withdrawal.next_try_at, Withdrawal.id)
        .with_for_update(skip_locked=True, of=Withdrawal)
    )
