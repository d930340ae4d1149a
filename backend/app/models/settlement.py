"""Settlements: what the bank was told to pay, and what it said."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.enums import SettlementState
from backend.app.models.base import Base
from backend.app.models.columns import AMOUNT

_STATES = ", ".join(f"'{state.value}'" for state in SettlementState)


class Settlement(Base):
    """One payout, decided once: a trigger keeps it from being changed.

    No foreign keys: the service that writes it knows nothing of withdrawals but their ids.
    `account` is a bank account number; it is shown masked and written to no log.
    """

    __tablename__ = "settlements"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name="reason"),
        CheckConstraint("amount > 0 AND amount <> 'NaN'", name="amount"),
    )

    withdrawal_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    account_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    account: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(30))
    decided_at: Mapped[datetime]
