"""Merchants: people who may draw on a pool, up to a limit."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.enums import MerchantState
from backend.app.models.base import Base, Timestamped
from backend.app.models.columns import AMOUNT

_STATES = ", ".join(f"'{state.value}'" for state in MerchantState)


class Merchant(Timestamped, Base):
    """What a user asked for as a merchant, and what he got.

    From approval on `account_id` is his account in the ledger and `pool_id` the pool's; the pool
    never changes. `bank_account` is shown masked and written to no log.
    """

    __tablename__ = "merchants"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint(
            "(state = 'pending') = (account_id IS NULL)"
            " AND (account_id IS NULL) = (pool_id IS NULL)"
            " AND (account_id IS NULL) = (approved_at IS NULL)",
            name="approved",
        ),
        Index("uq_merchants_account_id", "account_id", unique=True),
    )

    user_id: Mapped[int] = mapped_column(
        BigInteger,
        ForeignKey("users.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    state: Mapped[str] = mapped_column(String(20), server_default=MerchantState.PENDING.value)
    requested_credit: Mapped[Decimal] = mapped_column(AMOUNT)
    bank_account: Mapped[str] = mapped_column(String(64))
    account_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ledger_accounts.id"))
    pool_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ledger_accounts.id"))
    approved_at: Mapped[datetime | None]
