"""Wallets: what an account has, and how test funds come and go. Amounts are strings."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, Field

from backend.app.schemas.fields import Request
from backend.app.schemas.order_schemas import Number

ASSET_LENGTH_MAX: Final = 20

ASSET_FORM: Final = rf"^[A-Z0-9]{{1,{ASSET_LENGTH_MAX}}}$"

AssetName = Annotated[str, Field(pattern=ASSET_FORM, examples=["USDT"])]


class Pocket(StrEnum):
    """Where in a wallet money is: free to use, or held for open orders."""

    AVAILABLE = "available"
    LOCKED = "locked"


class Wallet(BaseModel):
    """What an account has of one asset."""

    asset: str
    available: str
    locked: str = Field(description="Held for open orders")
    total: str
    updated_at: datetime | None = Field(description="When it last changed; null if it never held")


class TransferRequest(Request):
    """How much of which asset to put in, or to take out."""

    asset: AssetName
    amount: Number


class TransferKind(StrEnum):
    """Which way test funds went."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"


class TransferShown(BaseModel):
    """A transfer of test funds that was carried out. Asked again it is the same one."""

    id: int
    kind: TransferKind
    asset: str
    amount: str


class WalletMovement(BaseModel):
    """What one movement did to one pocket of a wallet."""

    movement_id: int
    kind: str = Field(description="`order`, `cancel`, `deposit` or `payout`")
    asset: str
    pocket: Pocket
    amount: str = Field(description="More if positive, less if negative")
    at: datetime


class WalletMovementPage(BaseModel):
    """Some movements, the newest first, and where to go on."""

    items: list[WalletMovement]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")
