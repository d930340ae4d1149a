"""What is told of root keys and of a rotation. Names, states and counts; never a key."""

from datetime import datetime

from pydantic import BaseModel


class RootKeyInfo(BaseModel):
    """One root key this database has met."""

    kid: str
    provider: str
    reference: str | None
    state: str
    fingerprint: str
    data_keys: int
    at_hand: bool
    held_by: list[str]
    lacked_by: list[str]
    created_at: datetime
    activated_at: datetime | None


class DoomedKey(BaseModel):
    """A root key that may be destroyed. What was backed up while it sealed is lost with it."""

    kid: str
    provider: str
    provider_ref: str | None
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None
    destroyed_at: datetime | None


class RotationProgress(BaseModel):
    """How far the rewrap under way is, or how the last one ended; zeros if there was none."""

    from_kid: str | None = None
    to_kid: str | None = None
    state: str | None = None
    total: int = 0
    done: int = 0
    failed: int = 0
    rate_per_s: float | None = None
    eta_s: float | None = None


class Unopened(BaseModel):
    """Something sealed that does not open, and where it lies."""

    dek_id: str
    kid: str
    owner_id: int
    what: str


class Verified(BaseModel):
    """What was opened to see whether it opens."""

    data_keys: int
    fields: int
    unopened: list[Unopened]
