"""Reading open orders: one form for all eight, filled in with each exchange's names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.dialects.reading import (
    amount_in,
    moment_in,
    optional_amount_in,
    optional_text_in,
    text_in,
)
from backend.app.exchanges.key_information import OpenOrder

_SIDES = ("buy", "sell")
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OrderForm:
    """Under which names an exchange tells an order.

    `separator` stands between base and quote in an instrument's name; None where nothing does, and
    then the name alone does not tell which is which.
    """

    order_id: str
    client_order_id: str
    instrument: str
    side: str
    kind: str
    price: str
    amount: str
    filled: str
    created_at: str
    separator: str | None = None

    def read(self, row: dict[str, Any]) -> OpenOrder:
        """Read one order.

        Raises:
            NotTheExchange: a member is absent, of another kind, or contradicts another.
        """
        instrument = text_in(row, self.instrument)
        side = text_in(row, self.side).lower()
        amount, filled = amount_in(row, self.amount), amount_in(row, self.filled)
        if side not in _SIDES or filled > amount:
            raise NotTheExchange
        return OpenOrder(
            order_id=text_in(row, self.order_id),
            client_order_id=optional_text_in(row, self.client_order_id),
            instrument=instrument,
            symbol=self._symbol(instrument),
            side=side,
            order_type=text_in(row, self.kind).lower().replace("-", "_"),
            price=_price(optional_amount_in(row, self.price)),
            amount=amount,
            filled=filled,
            created_at=moment_in(row, self.created_at),
        )

    def _symbol(self, instrument: str) -> str | None:
        if self.separator is None:
            return None
        base, _, quote = instrument.partition(self.separator)
        return f"{base}/{quote}" if base and quote and self.separator not in quote else None


def open_orders(orders: Iterable[OpenOrder]) -> tuple[OpenOrder, ...]:
    """Return each order once, oldest first; what two pages tell, the later page tells right."""
    once = {order.order_id: order for order in orders}
    return tuple(sorted(once.values(), key=lambda o: (o.created_at or _END_OF_TIME, o.order_id)))


def pages(answers: Sequence[Any]) -> Sequence[Any]:
    """Return the answers, of which there must be one at least.

    Raises:
        NotTheExchange: there is none.
    """
    if not answers:
        raise NotTheExchange
    return answers


def _price(told: Decimal) -> Decimal | None:
    # An order at the market has none; six of the eight write 0 for that.
    return told or None
