"""What the plans of calls share: how they ask, and how they look into an answer they do not trust.

A plan only takes from an answer what the next call needs. Whether the answer is the exchange's
success, its dialect decides.
"""

from collections.abc import Awaitable
from typing import Any, Final, Protocol

from backend.app.exchanges.raw_answer import RawAnswer

_DIGITS_MAX: Final = 20


class Ask(Protocol):
    """Make one signed call by CCXT's name for it."""

    def __call__(self, method: str, **params: str) -> Awaitable[RawAnswer]:
        """Raise NoAnswer where nothing usable came back."""


def member(value: Any, *names: str) -> Any:
    """Return what stands under these names, one below the other; None where nothing does."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def digits(value: Any) -> str | None:
    """Return a number as its digits, fit for a path or a query; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    # Python refuses to write out numbers of thousands of digits.
    if isinstance(value, int) and not 0 <= value < 10**_DIGITS_MAX:
        return None
    text = str(value)
    return text if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else None


def htx_spot_account(value: Any) -> str | None:
    """Return the id of the spot account from HTX's list of accounts."""
    accounts = member(value, "data")
    for account in accounts if isinstance(accounts, list) else ():
        if member(account, "type") == "spot":
            return digits(member(account, "id"))
    return None
