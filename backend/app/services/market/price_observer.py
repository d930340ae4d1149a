"""How others take part in a refresh of prices, in its transaction."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.channel_message import Message


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A price that was believed and differs from the last one; `previous` is None for the first."""

    symbol: str
    price: Decimal
    previous: Decimal | None
    source: str
    as_of: datetime


PriceObserver = Callable[[AsyncSession, Sequence[PriceChange]], Awaitable[Sequence[Message]]]
"""Is told what changed, inside the transaction that writes it.

It may write too, and publish on channels whose names come before `prices`; the messages it returns
are announced after the commit. What it raises undoes the whole refresh.
"""
