"""What the settlement is asked and answers, and what an administrator sees of it."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, Field, SecretStr

from backend.app.enums import SettlementState, WithdrawalState
from backend.app.schemas.fields import Request
from backend.app.schemas.money_fields import MoneyGiven, MoneyShown

BANK_ACCOUNT_LENGTH_MAX: Final = 64
REFUSAL_SCOPE_KEY: Final = "strongroom.settlement_refusal"
"""Under this name the scope of a rehearsed request says why the bank refuses it."""

# What PostgreSQL's bigint holds.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
BankAccount = Annotated[SecretStr, Field(min_length=1, max_length=BANK_ACCOUNT_LENGTH_MAX)]
Reason = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]


class PayoutOrder(Request):
    """A withdrawal to pay out to a bank account. The same id is paid out once."""

    merchant_id: Id
    account_id: Id
    amount: MoneyGiven
    account: BankAccount
    withdrawal_id: Id


class SettlementShown(BaseModel):
    """What became of a withdrawal, for good."""

    withdrawal_id: Id
    merchant_id: Id
    account_id: Id
    amount: MoneyShown
    account: str = Field(description="Its two ends")
    state: SettlementState
    reason: Reason | None = Field(description="Why it was refused")
    decided_at: datetime


class DeadSettlement(BaseModel):
    """A withdrawal that nobody tries to pay out any more until a person says so."""

    withdrawal_id: int
    merchant_id: int
    amount: MoneyShown
    bank_account: str = Field(description="Its two ends")
    state: WithdrawalState
    reason: str | None = Field(description="What the last try met")
    tries: int
    requested_at: datetime
    changed_at: datetime


class DeadSettlementPage(BaseModel):
    """Some of them, the newest first, and where to go on."""

    items: list[DeadSettlement]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")
