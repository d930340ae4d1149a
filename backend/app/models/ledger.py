"""The ledger: accounts, movements between them, and the lines that movements are made of.

Lines are the truth. A trigger of migration 011 adds new lines to the balances of their accounts,
refuses what does not sum to zero for each asset, and others refuse to change or remove anything.
So a balance changes by a movement and by nothing else. See docs/ARCHITECTURE.md,
"Merchant credit and the ledger".
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base
from backend.app.models.columns import AMOUNT


class LedgerAccount(Base):
    """Where money is, or what somebody owes. `balance` is the sum of the account's lines.

    A merchant's balance is what he has drawn; it never passes `credit_limit`. `name` tells apart
    several accounts of one kind and owner, as pools are.
    """

    __tablename__ = "ledger_accounts"
    __table_args__ = (
        Index("uq_ledger_accounts_owned", "owner_id", "kind", "name", "asset", unique=True),
        # The house's own have no owner, which a unique index takes for a different one each time.
        Index(
            "uq_ledger_accounts_house",
            "kind",
            "name",
            "asset",
            unique=True,
            postgresql_where=text("owner_id IS NULL AND venue_account_id IS NULL"),
        ),
        Index(
            "uq_ledger_accounts_venue",
            "venue_account_id",
            "kind",
            "asset",
            unique=True,
            postgresql_where=text("venue_account_id IS NOT NULL"),
        ),
        CheckConstraint("may_go_negative OR balance >= 0", name="balance"),
        CheckConstraint("credit_limit IS NULL OR balance <= credit_limit", name="credit_limit"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    owner_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(50), server_default="")
    asset: Mapped[str] = mapped_column(String(20))
    may_go_negative: Mapped[bool] = mapped_column(server_default=text("false"))
    credit_limit: Mapped[Decimal | None] = mapped_column(AMOUNT)
    balance: Mapped[Decimal] = mapped_column(AMOUNT, server_default=text("0"))
    created_at: Mapped[datetime]
    # Whose wallet it is part of, if it is of kind available or locked; not always a user's.
    venue_account_id: Mapped[int | None] = mapped_column(BigInteger)


class LedgerMovement(Base):
    """Why money moved. `reference_id` names what it was for: a withdrawal, or the like."""

    __tablename__ = "ledger_movements"
    __table_args__ = (
        # What was reversed once is not reversed again.
        Index(
            "uq_ledger_movements_reverses_id",
            "reverses_id",
            unique=True,
            postgresql_where=text("reverses_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    reference_id: Mapped[int | None] = mapped_column(BigInteger)
    reverses_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ledger_movements.id"))
    at: Mapped[datetime]


class LedgerLine(Base):
    """What a movement did to one account: more if `amount` is positive, less if negative.

    No foreign keys: they would be asked row by row, five hundred times for one batch. The trigger
    that balances looks for movement and account once for all lines (bench/withdrawals.py).
    """

    __tablename__ = "ledger_lines"
    __table_args__ = (
        CheckConstraint("amount <> 0 AND amount <> 'NaN'", name="amount"),
        Index("ix_ledger_lines_account_id_movement_id", "account_id", "movement_id"),
    )

    movement_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
