"""Money as text: plain decimal strings, never a float, never an exponent."""

from decimal import Decimal


def plain(amount: Decimal) -> str:
    """Return the shortest plain decimal text of an amount: `1000`, `0.5`, `0`."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
