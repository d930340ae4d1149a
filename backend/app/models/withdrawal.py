"""Withdrawals: what merchants drew, and what became of it."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.enums import WithdrawalState
from backend.app.models.base import Base
from backend.app.models.columns import AMOUNT

_STATES = ", ".join(f"'{state.value}'" for state in WithdrawalState)


class Withdrawal(Base):
    """One withdrawal. `movement_id` is what took it from the pool.

    While it is open, `next_try_at` says when it is tried to be paid out, or until when somebody
    has taken that on; without one it waits for a person.

    No foreign keys, as in `LedgerLine`: the account keeps its owner from being deleted, and
    `strongroom ledger prove` compares every withdrawal with its movement.
    """

    __tablename__ = "withdrawals"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint("amount > 0 AND amount <> 'NaN'", name="amount"),
        Index("ix_withdrawals_user_id_id", "user_id", "id"),
        # The queue of whoever pays out: decided ones, which are nearly all, are not in it.
        Index(
            "ix_withdrawals_due",
            "next_try_at",
            "id",
            postgresql_where=text("state IN ('requested', 'settling', 'unknown')"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger)
    account_id: Mapped[int] = mapped_column(BigInteger)
    pool_id: Mapped[int] = mapped_column(BigInteger)
    movement_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(30))
    requested_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    next_try_at: Mapped[datetime | None]
