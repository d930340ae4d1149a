"""Idempotency keys: what was answered to a request that must not count twice."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class IdempotencyKey(Base):
    """A key of one user for one route, what was asked under it, and the answer.

    The row is written in the transaction of what it stands for: it is there if and only if that
    happened, or was refused for good. Status 0 says that it is not over: the body is what is known,
    and the first answer written over it is the one for good.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    route: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
