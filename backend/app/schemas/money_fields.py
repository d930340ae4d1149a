"""Money as it comes in and as it is shown: text with at most two decimals, never a float."""

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from backend.app.money import CENT, in_cents

# More than any pool holds, and far less than a column does.
MONEY_DIGITS_MAX: Final = 12
_MONEY: Final = re.compile(rf"[0-9]{{1,{MONEY_DIGITS_MAX}}}(?:\.[0-9]{{1,2}})?")
# What is an amount, only not one of ours, and why.
_ALMOST: Final = (
    (re.compile(r"-[0-9]+(?:\.[0-9]+)?"), "money_positive", "More than nothing"),
    (re.compile(r"[0-9]+\.[0-9]{3,}"), "money_decimals", "At most two decimals"),
    (
        re.compile(rf"[0-9]{{{MONEY_DIGITS_MAX + 1},}}(?:\.[0-9]{{1,2}})?"),
        "money_large",
        f"At most {MONEY_DIGITS_MAX} digits before the point",
    ),
)


def _positive(value: object) -> Decimal:
    # A number in JSON has passed through a float before anybody could look at it.
    if not isinstance(value, str):
        raise PydanticCustomError("money", 'A text such as "250.00", not a number')
    if not _MONEY.fullmatch(value):
        raise _no_money(value)
    amount = Decimal(value).quantize(CENT)
    if not amount:
        raise PydanticCustomError("money_positive", "More than nothing")
    return amount


def _no_money(value: str) -> PydanticCustomError:
    for shape, kind, message in _ALMOST:
        if shape.fullmatch(value):
            return PydanticCustomError(kind, message)
    return PydanticCustomError("money", "A text such as 250.00: at most 12 digits and two decimals")


MoneyGiven = Annotated[
    Decimal,
    BeforeValidator(_positive),
    WithJsonSchema({"type": "string", "pattern": f"^{_MONEY.pattern}$", "examples": ["250.00"]}),
]
"""An amount above nothing, as it is asked for."""

MoneyShown = Annotated[Decimal, PlainSerializer(in_cents, return_type=str)]
"""An amount as it is answered: `250.00`."""
