"""Which running instance holds which root key."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class InstanceKey(Base):
    """A root key one instance can open with, and when it last said so."""

    __tablename__ = "instance_keys"

    instance: Mapped[str] = mapped_column(String(64), primary_key=True)
    kid: Mapped[str] = mapped_column(String(32), ForeignKey("keks.kid"), primary_key=True)
    seen_at: Mapped[datetime]
