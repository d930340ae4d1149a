"""The older card API's forms, for its clients: `{"data": ...}`, and errors of code and message."""

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from backend.app.schemas.card_schemas import CardNumber, Price

Thing = TypeVar("Thing")


class OlderError(BaseModel):
    """Every answer of the older API that says no."""

    code: str = Field(examples=["400000"])
    message: str


class Pagination(BaseModel):
    """Where a page stands among all."""

    page: int
    per_page: int
    total_count: int
    total_page: int


class Meta(BaseModel):
    """What is told beside a list."""

    pagination: Pagination


class One(BaseModel, Generic[Thing]):
    """A single answer."""

    data: Thing


class Many(BaseModel, Generic[Thing]):
    """A page of a list."""

    meta: Meta
    data: list[Thing]


class OlderItem(BaseModel):
    """A card."""

    id: int
    name: str


class OlderOrderCreate(BaseModel):
    """An order of one card. What this API does not know of it ignores, as it always did."""

    model_config = ConfigDict(hide_input_in_errors=True)

    item_id: CardNumber
    order_type: Annotated[int, Field(ge=1, le=2, strict=True, description="1 buy, 2 sell")]
    price: Price


class OlderOrder(BaseModel):
    """An order of the trader."""

    id: int
    item_id: int
    order_type: int
    price: str
    status: int = Field(description="1 progress, 2 completed, 3 cancelled")
    created_at: datetime


class OlderTransaction(BaseModel):
    """A trade of a card."""

    id: int
    item_id: int
    price: str
    created_at: datetime
