"""A file of card orders: a line each, `trader,card,side,price`, made from a seed."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from backend.app.errors import ConfigurationError
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side

TRADERS: Final = 10_000
CARDS: Final = 4
PRICE_TICKS: Final = (100, 1000)
_HEADING: Final = "trader,card,side,price\n"
_LINES_AT_ONCE: Final = 10_000


def made_lines(orders: int, seed: int) -> Iterator[str]:
    """Yield the lines of a file, many at once."""
    # Seeded on purpose: the same file for everybody.
    random = Random(seed)  # noqa: S311
    sides = [side.value for side in Side]
    low, high = PRICE_TICKS
    yield _HEADING
    for start in range(0, orders, _LINES_AT_ONCE):
        yield "".join(
            f"{random.randint(1, TRADERS)},{random.randint(1, CARDS)},"
            f"{sides[random.randrange(2)]},{_text(random.randint(low, high))}\n"
            for _ in range(min(_LINES_AT_ONCE, orders - start))
        )


def read_orders(file: Path) -> list[NewOrder]:
    """Return the orders of a file.

    Raises:
        ConfigurationError: it cannot be read, or a line is no order; the text says which.
    """
    try:
        with file.open(encoding="ascii") as lines:
            if next(lines, "") != _HEADING:
                raise ConfigurationError(f"{file} does not begin with: {_HEADING.strip()}")
            return [_order(file, number, line) for number, line in enumerate(lines, start=2)]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read ({type(error).__name__}).") from None


def _order(file: Path, number: int, line: str) -> NewOrder:
    try:
        trader, card, side, price = line.rstrip("\n").split(",")
        dollars, cents = price.split(".")
        ticks = int(dollars) * 100 + int(cents)
        order = NewOrder(int(trader), int(card), Side(side), ticks)
    except ValueError:
        order, ticks = None, 0
    low, high = PRICE_TICKS
    if order is None or not (1 <= order.instrument_id <= CARDS and low <= ticks <= high):
        raise ConfigurationError(f"{file}, line {number}: no order of a card.")
    return order


def _text(ticks: int) -> str:
    return f"{ticks // 100}.{ticks % 100:02d}"
