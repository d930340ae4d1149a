"""Money as text: plain decimal strings, never a float, never an exponent."""

from decimal import Decimal
from typing import Final

CENT: Final = Decimal("0.01")


def plain(amount: Decimal) -> str:
    """Return the shortest plain decimal text of an amount: `1000`, `0.5`, `0`."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def in_cents(amount: Decimal) -> str:
    """Return an amount of money as people write it, with two decimals: `1000.00`, `0.50`.

    Raises:
        ValueError: it is no whole number of cents, so two decimals would not be the truth.
    """
    rounded = amount.quantize(CENT)
    if rounded != amount:
        raise ValueError("the amount is no whole number of cents")
    return f"{rounded:f}"
