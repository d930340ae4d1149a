"""Withdrawals as they are asked for, and as they are shown."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from backend.app.enums import WithdrawalState
from backend.app.schemas.fields import Request
from backend.app.schemas.money_fields import MoneyGiven, MoneyShown


class WithdrawalRequest(Request):
    """How much to withdraw to your bank account."""

    amount: MoneyGiven


class WithdrawalShown(BaseModel):
    """A withdrawal as its merchant sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    amount: MoneyShown
    state: WithdrawalState
    reason: str | None = Field(description="Why it failed, or nothing is known of it")
    requested_at: datetime
    changed_at: datetime


class WithdrawalPage(BaseModel):
    """Some withdrawals, the newest first, and where to go on."""

    items: list[WithdrawalShown]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")
