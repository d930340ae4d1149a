"""Notifications as they are read. Their facts hold words, numbers and addresses, never a secret."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from backend.app.enums import NotificationKind


class Notification(BaseModel):
    """Something somebody should know."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    kind: NotificationKind
    credential_id: int | None
    facts: dict[str, Any]
    created_at: datetime
    read_at: datetime | None


class NotificationPage(BaseModel):
    """Some notifications, the newest first, and where to go on."""

    items: list[Notification]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")
    unread: int = Field(description="How many are unread in all, on whichever page")


class NotificationsRead(BaseModel):
    """What became read."""

    marked: int = Field(description="How many were unread before")
