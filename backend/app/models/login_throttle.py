"""Failed logins under one name, and until when the next one has to wait."""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class LoginThrottle(Base):
    """How often logins under one name failed lately.

    `subject` is a keyed hash of the name in lower case, so that a name nobody has behaves like
    any other and the table does not list what people typed.
    """

    __tablename__ = "login_throttles"
    __table_args__ = (Index("ix_login_throttles_attempted_at", "attempted_at"),)

    subject: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    attempted_at: Mapped[datetime]
    delayed_until: Mapped[datetime]
