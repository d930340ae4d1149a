"""Numbers of traders as whole units of the core, and back. Exact, or not at all.

All of it is whole numbers: a `Decimal` context would round what has many digits.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

_DECIMALS: Final[Mapping[int, int]] = {10**decimals: decimals for decimals in range(19)}


def whole_units(amount: Decimal, per_unit: int) -> int | None:
    """Return how many units an amount is; None if it is no whole number of them.

    >>> whole_units(Decimal("1.23"), 100), whole_units(Decimal("1.234"), 100)
    (123, None)
    """
    numerator, denominator = amount.as_integer_ratio()
    units, rest = divmod(numerator * per_unit, denominator)
    return None if rest else units


def in_full(units: int, per_unit: int) -> str:
    """Return units as a number with all the decimals that a unit has; `per_unit` is a power of ten.

    >>> in_full(250, 100), in_full(-5, 100), in_full(7, 1)
    ('2.50', '-0.05', '7')
    """
    decimals = _DECIMALS[per_unit]
    if not decimals:
        return str(units)
    if units < 0:
        return f"-{in_full(-units, per_unit)}"
    digits = str(units).zfill(decimals + 1)
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def in_short(units: int, per_unit: int) -> str:
    """Return units as the shortest number.

    >>> in_short(250, 100), in_short(200, 100), in_short(0, 100)
    ('2.5', '2', '0')
    """
    whole, rest = divmod(units, per_unit)
    return in_full(units, per_unit).rstrip("0") if rest else str(whole)


def in_decimal(units: int, per_unit: int) -> Decimal:
    """Return units as a number, exact however many digits it has.

    >>> in_decimal(250, 100), in_decimal(-5, 100)
    (Decimal('2.5'), Decimal('-0.05'))
    """
    return Decimal(in_short(units, per_unit))


def ratio_in_short(numerator: int, denominator: int, decimals: int) -> str:
    """Return a ratio, at or above zero, rounded half up to so many decimals, as the shortest one.

    >>> ratio_in_short(2, 3, 4), ratio_in_short(5, 2, 4)
    ('0.6667', '2.5')
    """
    scale = 10**decimals
    return in_short((2 * numerator * scale + denominator) // (2 * denominator), scale)
