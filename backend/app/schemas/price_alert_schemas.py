"""Price alerts as they are asked for and shown. Prices are strings: a float would change them."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from backend.app.enums import AlertCondition
from backend.app.money import plain
from backend.app.schemas.fields import Request

NOTE_LENGTH_MAX: Final = 200
SYMBOL_LENGTH_MAX: Final = 41
PERCENT_MIN: Final = Decimal("0.01")
PERCENT_MAX: Final = Decimal(1000)
PAUSE_MINUTES_DEFAULT: Final = 60
PAUSE_MINUTES_MAX: Final = 7 * 24 * 60
_FORM: Final = r"^[0-9]{1,18}(\.[0-9]{1,18})?$"
_NUMBER: Final = re.compile(_FORM)


def _threshold(value: object) -> Decimal:
    number = Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else Decimal(0)
    if not number:
        raise PydanticCustomError(
            "threshold", 'A positive number as a string, such as "50000" or "0.25"'
        )
    return number


def _note(value: object) -> object:
    if isinstance(value, str) and not value.isprintable():
        raise PydanticCustomError("note_alphabet", "Printable characters only")
    return value


Threshold = Annotated[
    Decimal,
    BeforeValidator(_threshold),
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _FORM, "examples": ["50000", "2.5"]}),
]
Shown = Annotated[Decimal, PlainSerializer(plain, return_type=str)]
Note = Annotated[str, BeforeValidator(_note), Field(min_length=1, max_length=NOTE_LENGTH_MAX)]


class PriceAlertCreate(Request):
    """What to be told: once, or again whenever the price has been back and some time is over."""

    symbol: Annotated[str, Field(min_length=1, max_length=SYMBOL_LENGTH_MAX)]
    condition: AlertCondition = Field(
        description="`above` and `below` a price; `percent`: as far from the price of now, up or"
        " down; repeated, from the price it was last told at"
    )
    threshold: Threshold = Field(description="A price; with `percent` 0.01 to 1000")
    repeats: bool = False
    pause_minutes: Annotated[int, Field(ge=1, le=PAUSE_MINUTES_MAX)] = Field(
        default=PAUSE_MINUTES_DEFAULT, description="The least time between two notifications"
    )
    note: Note | None = None

    @model_validator(mode="after")
    def _percent_within_bounds(self) -> Self:
        if self.condition is AlertCondition.PERCENT and not (
            PERCENT_MIN <= self.threshold <= PERCENT_MAX
        ):
            raise PydanticCustomError("percent", "With percent: a threshold from 0.01 to 1000")
        return self


class PriceAlertUpdate(Request):
    """Whether it waits. One that is woken begins anew, with the price of now."""

    is_active: bool


class PriceAlertShown(BaseModel):
    """A price alert as its owner sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    symbol: str
    condition: AlertCondition
    threshold: Shown
    reference_price: Shown = Field(description="The price it was made at, or last began anew at")
    repeats: bool
    pause_minutes: int
    note: str | None
    is_active: bool = Field(description="false once it has fired, unless it repeats; or paused")
    created_at: datetime
    triggered_at: datetime | None
    triggered_price: Shown | None
