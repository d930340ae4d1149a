"""Merchants, their credit and the pools behind it, as asked for and as shown."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, Field

from backend.app.enums import MerchantState, MovementKind
from backend.app.schemas.fields import Request
from backend.app.schemas.money_fields import MoneyGiven, MoneyShown

POOL_NAME_LENGTH_MAX: Final = 50
STATEMENT_LINES_MAX: Final = 1_000
STATEMENT_LINES_DEFAULT: Final = 200
DEFAULT_POOL: Final = "default"

# What PostgreSQL's bigint holds.
MerchantId = Annotated[int, Field(ge=1, le=2**63 - 1)]
PoolName = Annotated[
    str, Field(min_length=1, max_length=POOL_NAME_LENGTH_MAX, pattern=r"^[a-z0-9][a-z0-9-]*$")
]


class StatementFormat(StrEnum):
    """How a statement is written."""

    JSON = "json"
    CSV = "csv"


class Approval(Request):
    """Which merchant may draw from now on, how much, and on which pool."""

    merchant_id: MerchantId
    credit_limit: MoneyGiven
    pool: PoolName = DEFAULT_POOL


class LimitChange(Request):
    """A new credit limit; not below what is drawn."""

    credit_limit: MoneyGiven


class PoolCreate(Request):
    """A pool to make. It holds nothing until it is topped up."""

    name: PoolName


class PoolChange(Request):
    """Money that goes into a pool, or out of it."""

    amount: MoneyGiven
    pool: PoolName = DEFAULT_POOL


class StatementPlace(BaseModel):
    """Which part of a statement to show."""

    limit: Annotated[int, Field(ge=1, le=STATEMENT_LINES_MAX)] = STATEMENT_LINES_DEFAULT
    cursor: Annotated[int, Field(ge=0, le=2**63 - 1)] = Field(
        default=0, description="`next_cursor` of the last page"
    )


class StatementQuery(StatementPlace):
    """Which part of a statement to show, and how."""

    format: StatementFormat = StatementFormat.JSON


class HistoryQuery(StatementPlace):
    """Which part of which pool's history to show."""

    pool: PoolName = DEFAULT_POOL


class StatementLine(BaseModel):
    """One movement of an account. `balance` is what the account held, or was drawn, after it."""

    movement_id: int
    at: datetime
    kind: MovementKind
    amount: MoneyShown
    balance: MoneyShown
    withdrawal_id: int | None
    reverses_id: int | None = Field(description="The movement that this one took back")


class Statement(BaseModel):
    """Some movements of an account, the oldest first, and where to go on."""

    items: list[StatementLine]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")


class MerchantStanding(BaseModel):
    """What a merchant sees of his own standing. Null is what only an approved one has."""

    state: MerchantState
    requested_credit: MoneyShown
    bank_account: str = Field(description="Its two ends")
    account_id: int | None
    credit_limit: MoneyShown | None
    utilised: MoneyShown | None
    available: MoneyShown | None
    approved_at: datetime | None
    recent_movements: list[StatementLine]


class MerchantShown(BaseModel):
    """A merchant as an administrator sees him."""

    merchant_id: int
    username: str
    state: MerchantState
    requested_credit: MoneyShown
    bank_account: str = Field(description="Its two ends")
    account_id: int | None
    pool: str | None
    credit_limit: MoneyShown | None
    utilised: MoneyShown | None
    available: MoneyShown | None
    created_at: datetime
    approved_at: datetime | None


class MerchantPage(BaseModel):
    """Some merchants by id, and where to go on."""

    items: list[MerchantShown]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")


class PoolShown(BaseModel):
    """A pool, and what merchants may still draw on it."""

    name: str
    is_default: bool
    available_amount: MoneyShown
    created_at: datetime


class PoolChanged(PoolShown):
    """A pool after money went in or out, and the movement that says so."""

    movement_id: int
