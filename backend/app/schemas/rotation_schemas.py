"""The staged rotation of an exchange key, as it is asked for and shown: never with a secret."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from backend.app.enums import KeyState
from backend.app.schemas.credential_schemas import AllowWithdrawal
from backend.app.schemas.fields import ApiKey, ApiSecret, Passphrase, Request

AcceptSmallerRights = Annotated[
    bool, Field(description="Switch although the new key may do less than the one in use")
]


class RotationTry(Request):
    """How to judge the pending pair when it is tried."""

    accept_smaller_rights: AcceptSmallerRights = False
    allow_withdrawal: AllowWithdrawal = False


class RotationStart(RotationTry):
    """The key pair that is to take the place of the one in use."""

    api_key: ApiKey
    api_secret: ApiSecret
    passphrase: Passphrase | None = None


class KeyVersion(BaseModel):
    """One key pair of a credential."""

    state: KeyState
    api_key_masked: str
    verified_at: datetime | None = Field(description="When its exchange last accepted it")
    expires_at: datetime | None = Field(description="When it is destroyed; null: it is in use")
    rolls_back_until: datetime | None = Field(
        description="Comes back by itself if the pair in use is refused until then"
    )


class Rotation(BaseModel):
    """Where a credential stands: the pair in use, the one to come, the one before."""

    credential_id: int
    current: KeyVersion
    pending: KeyVersion | None
    previous: KeyVersion | None
