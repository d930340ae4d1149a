"""What was asked of us, by whom, and how it went; never what was in it."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, Sequence, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base
from backend.app.request_entry import ADDRESS_LENGTH_MAX, METHOD_LENGTH_MAX, ROUTE_LENGTH_MAX

REQUEST_ID_LENGTH_MAX = 64
KEY_PREFIX_LENGTH_MAX = 20


_IDS = Sequence("api_request_log_id_seq", metadata=Base.metadata)


class ApiRequestLog(Base):
    """One answered request. `route` is the template, never the address: that may hold a secret.

    No foreign key: it outlives its user, and is written without waiting for anybody's row.
    """

    __tablename__ = "api_request_log"
    __table_args__ = (
        Index("ix_api_request_log_at", "at", postgresql_using="brin"),
        # In the order of the pages, so that somebody's requests are found however few they are.
        Index("ix_api_request_log_user_id_at_id", "user_id", "at", "id"),
        Index("ix_api_request_log_request_id", "request_id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    at: Mapped[datetime] = mapped_column(primary_key=True)
    # Not an identity column: before version 17 PostgreSQL has none in partitioned tables.
    id: Mapped[int] = mapped_column(
        BigInteger, _IDS, primary_key=True, server_default=_IDS.next_value()
    )
    request_id: Mapped[str] = mapped_column(String(REQUEST_ID_LENGTH_MAX))
    method: Mapped[str] = mapped_column(String(METHOD_LENGTH_MAX))
    route: Mapped[str] = mapped_column(String(ROUTE_LENGTH_MAX))
    status: Mapped[int] = mapped_column(SmallInteger)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    key_prefix: Mapped[str | None] = mapped_column(String(KEY_PREFIX_LENGTH_MAX))
    address: Mapped[str | None] = mapped_column(String(ADDRESS_LENGTH_MAX))
    duration_us: Mapped[int] = mapped_column(Integer)
    request_bytes: Mapped[int] = mapped_column(Integer)
    response_bytes: Mapped[int] = mapped_column(Integer)
