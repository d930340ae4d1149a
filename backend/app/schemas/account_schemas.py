"""What lies behind a key: balances, open orders, and all keys taken together."""

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, Field

from backend.app.enums import Environment
from backend.app.exchanges.reasons import Reason
from backend.app.schemas.exchange_schemas import AssetBalance

ORDERS_COMPLETE: Final = "False where the exchange has more open orders than are asked for"


class AccountBalances(BaseModel):
    """What the account behind one key holds on spot, without what is zero."""

    credential_id: int
    exchange_name: str
    environment: Environment
    as_of: datetime
    balances: list[AssetBalance]


class OpenOrder(BaseModel):
    """One order that rests in a book. Amounts are decimal strings, in the base asset."""

    order_id: str
    client_order_id: str | None
    instrument: str = Field(description="The exchange's own name of the market")
    symbol: str | None = Field(description="BASE/QUOTE; null where the exchange does not tell it")
    side: str = Field(description="`buy` or `sell`")
    type: str = Field(description="The exchange's own word, such as `limit` or `post_only`")
    price: str | None = Field(description="Null for an order without a limit")
    amount: str
    filled: str
    remaining: str
    status: Literal["open", "partially_filled"]
    created_at: datetime | None


class AccountOpenOrders(BaseModel):
    """The spot orders of one account that rest in a book, oldest first."""

    credential_id: int
    exchange_name: str
    environment: Environment
    as_of: datetime
    orders: list[OpenOrder]
    is_complete: bool = Field(description=ORDERS_COMPLETE)


class PortfolioPart(BaseModel):
    """What one key's account adds to a portfolio."""

    credential_id: int
    exchange_name: str
    label: str | None
    as_of: datetime
    balances: list[AssetBalance]
    same_account_as: int | None = Field(
        description="The credential whose account this is too; counted there and not again"
    )


class PortfolioGap(BaseModel):
    """A key whose account a portfolio does without, and why."""

    credential_id: int
    exchange_name: str
    label: str | None
    reason: Reason | str = Field(
        description="A reason of an exchange, `credential-changed` or `credential-unreadable`"
    )
    advice: str


class Portfolio(BaseModel):
    """Everything behind a user's active keys, and the name of every part that is missing."""

    environment: Environment
    as_of: datetime
    totals: list[AssetBalance]
    parts: list[PortfolioPart]
    missing: list[PortfolioGap]
