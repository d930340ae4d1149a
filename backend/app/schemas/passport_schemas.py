"""The key passport, its history, and how pages of the past look."""

from datetime import datetime
from typing import Final

from pydantic import BaseModel, Field

from backend.app.enums import Environment, Evidence, Known, UnknownBecause
from backend.app.exchanges.reasons import Reason

VALID: Final = "valid"


class Passport(BaseModel):
    """What a key may do, and what each statement rests on.

    A right the exchange does not tell is `unknown`, never guessed. Members that are null are not
    told, or do not exist: an end that is null is none that the exchange speaks of.
    """

    checked_at: datetime
    environment: Environment
    can_read: Known
    can_trade: Known
    can_withdraw: Known
    can_transfer: Known
    ip_restricted: Known
    ip_addresses: list[str] | None = Field(description="The allow list, where it is readable")
    expires_at: datetime | None = Field(description="Where days are told: days from `checked_at`")
    remaining_days: int | None = Field(description="Whole days, at `checked_at`")
    trading_ends_at: datetime | None = Field(description="The right to trade ends, the key lives")
    is_sub_account: Known
    owner_uid: str | None
    clock_offset_ms: int | None = Field(description="How far the exchange's clock is ahead of ours")
    latency_ms: int
    unknown_because: UnknownBecause | None = Field(description="Set where a right is unknown")
    evidence: dict[str, Evidence] = Field(description="By member; what is unknown has none")


class StoredPassport(BaseModel):
    """The newest passport of a stored credential; null before the first check."""

    credential_id: int
    checked_at: datetime | None
    passport: Passport | None


class CredentialCheck(BaseModel):
    """One line of a credential's history."""

    id: int
    checked_at: datetime
    standing: str = Field(description="`valid`, or what the refusal says about the key")
    reason: Reason | None
    exchange_code: str | None
    latency_ms: int | None
    passport: Passport | None


class CredentialCheckPage(BaseModel):
    """Some checks, the newest first, and where to go on."""

    items: list[CredentialCheck]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")
