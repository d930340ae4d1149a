"""Arrays of numbers as PostgreSQL writes them.

The driver looks at each element of a list it sends; PostgreSQL reads `$1::text::bigint[]` itself,
in a fraction of that time (bench/withdrawals.py, bench/venue.py).
"""

from collections.abc import Iterable
from decimal import Decimal


def array_text(numbers: Iterable[int]) -> str:
    """Return whole numbers as the text of an array."""
    return "{" + str(list(numbers))[1:-1] + "}"


def decimal_array_text(amounts: Iterable[Decimal]) -> str:
    """Return amounts as the text of an array, each exactly."""
    return "{" + ",".join(map(str, amounts)) + "}"
