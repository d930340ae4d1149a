"""Credentials as they come in, and as they may be shown: never with a secret, sealed or open."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from backend.app.enums import Environment, Known
from backend.app.schemas.fields import (
    ApiKey,
    ApiSecret,
    ExchangeName,
    Label,
    Passphrase,
    Request,
)

AllowWithdrawal = Annotated[
    bool, Field(description="Take the key although it may withdraw; this is recorded")
]


class CredentialCreate(Request):
    """A key pair to bind. `verify=false` stores it untried."""

    exchange_name: ExchangeName
    api_key: ApiKey
    api_secret: ApiSecret
    passphrase: Passphrase | None = None
    label: Label | None = None
    verify: bool = True
    allow_withdrawal: AllowWithdrawal = False


class CredentialUpdate(Request):
    """What to change. A new `api_key` comes with its secret; what is left out stays."""

    api_key: ApiKey | None = None
    api_secret: ApiSecret | None = None
    passphrase: Passphrase | None = None
    label: Label | None = None
    is_active: bool | None = None
    verify: bool = True
    allow_withdrawal: AllowWithdrawal = False

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if self.api_key is not None and self.api_secret is None:
            raise PydanticCustomError("secret_missing", "A new api_key needs its api_secret")
        return self

    @property
    def changes_secrets(self) -> bool:
        """Whether anything the exchange would notice changes."""
        return not (self.api_key is None and self.api_secret is None and self.passphrase is None)


class Credential(BaseModel):
    """A stored credential as its owner may see it."""

    id: int
    exchange_name: str
    environment: Environment
    label: str | None
    api_key_masked: str
    is_active: bool
    has_trading_permission: bool | None
    can_withdraw: Known | None = Field(description="As its passport says; null: never checked")
    expires_at: datetime | None = Field(description="As its passport says")
    last_verified_at: datetime | None
    created_at: datetime
    updated_at: datetime
