"""Moving data keys from one root key to another: how far it came."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class RewrapState(StrEnum):
    """Whether there is anything left to do."""

    RUNNING = "running"
    FINISHED = "finished"
    # The key it moved to seals no more; another job moves on from there.
    OVERTAKEN = "overtaken"


class KeyRewrap(Base):
    """One job. Its counters and its place change in the transaction that moves the keys.

    `holder` fences: who lost the job to another can write nothing any more. `resumed_at` and
    `resumed_done` are where the present run began, for an honest rate.
    """

    __tablename__ = "key_rewraps"
    __table_args__ = (
        Index(
            "uq_key_rewraps_one_running",
            "state",
            unique=True,
            postgresql_where=text("state = 'running'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    from_kid: Mapped[str] = mapped_column(String(32), ForeignKey("keks.kid"))
    to_kid: Mapped[str] = mapped_column(String(32), ForeignKey("keks.kid"))
    cursor: Mapped[UUID | None] = mapped_column(Uuid)
    total: Mapped[int] = mapped_column(BigInteger)
    done: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(20))
    holder: Mapped[UUID] = mapped_column(Uuid)
    lease_until: Mapped[datetime]
    started_at: Mapped[datetime]
    resumed_at: Mapped[datetime]
    resumed_done: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime]
