"""What is believed of a price that was told. Pure: what is known, what was told, what follows.

A price is taken over as it was told or not at all. One that is ten times off, either way, waits
until it was told three times in a row or another source says the same; meanwhile the last price
stands, as stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final

JUMP_FACTOR: Final = 10
"""A price this many times the last one, or that part of it, is not believed at once."""
CANDIDATE_TIMES: Final = 3
"""Told so often in a row, it is."""
_SAME_FACTOR: Final = 2
"""How far a candidate may move between two refreshes and still be the same one."""
_AGREEING: Final = Decimal("1.1")
"""How far two sources may lie apart and still agree."""
_WIDE: Final = Context(prec=80)
_SMALLEST: Final = Decimal(1).scaleb(-18)
_TOO_LARGE: Final = Decimal(10) ** 20


class StaleBecause(StrEnum):
    """Why a price is no longer what the market says."""

    SOURCE_AWAY = "source_away"
    """No source answered."""
    NO_PRICE = "no_price"
    """A source answered, with nothing that is a price."""
    QUARANTINED = "quarantined"
    """What was told is too far from this price to be believed yet."""
    OLD = "old"
    """Nobody refreshes it, or the market stands still."""


@dataclass(frozen=True, slots=True)
class Told:
    """A price as a source told it."""

    price: Decimal
    source: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class KnownPrice:
    """The last price that was believed, and what became of it since."""

    symbol: str
    price: Decimal
    source: str
    as_of: datetime
    received_at: datetime
    stale_since: datetime | None = None
    stale_because: StaleBecause | None = None
    candidate_price: Decimal | None = None
    candidate_count: int = 0


def is_price(price: Decimal) -> bool:
    """Tell whether a number can be a price, and be kept exactly as it is.

    >>> is_price(Decimal("0.1")), is_price(Decimal(0)), is_price(Decimal("NaN"))
    (True, False, False)
    """
    if not price.is_finite() or not 0 < price < _TOO_LARGE:
        return False
    return price.quantize(_SMALLEST, context=_WIDE) == price


def is_jump(last: Decimal, told: Decimal) -> bool:
    """Tell whether a price is too far from the last one to be believed at once."""
    return _apart(last, told, Decimal(JUMP_FACTOR))


def judge(
    symbol: str,
    known: KnownPrice | None,
    told: Sequence[Told],
    silence: StaleBecause,
    now: datetime,
) -> KnownPrice | None:
    """Return what is known after a refresh; None while nothing ever was.

    `told` are the sources' prices, the source that is asked first in front; `silence` says why, if
    there is none.
    """
    if known is None:
        return _believed(symbol, told[0], now) if told else None
    if not told:
        return _stale(known, silence, now)
    # What is older than what is known is no news, but whoever tells it is there. After a step of
    # our own clock nothing can be compared.
    news = [each for each in told if each.as_of >= known.as_of or known.as_of > now]
    if not news:
        return replace(known, received_at=now, stale_since=None, stale_because=None)
    plausible = [each for each in news if not is_jump(known.price, each.price)]
    if plausible:
        return _believed(symbol, plausible[0], now)
    return _jumped(known, news, now)


def _jumped(known: KnownPrice, told: Sequence[Told], now: datetime) -> KnownPrice:
    first, others = told[0], told[1:]
    if any(not _apart(first.price, other.price, _AGREEING) for other in others):
        return _believed(known.symbol, first, now)
    candidate, count = known.candidate_price, 1
    if candidate is not None and not _apart(candidate, first.price, Decimal(_SAME_FACTOR)):
        count = known.candidate_count + 1
    if count >= CANDIDATE_TIMES:
        return _believed(known.symbol, first, now)
    waiting = replace(known, candidate_price=first.price, candidate_count=count)
    return _stale(waiting, StaleBecause.QUARANTINED, now)


def _believed(symbol: str, told: Told, now: datetime) -> KnownPrice:
    return KnownPrice(symbol, told.price, told.source, told.as_of, received_at=now)


def _stale(known: KnownPrice, because: StaleBecause, now: datetime) -> KnownPrice:
    return replace(known, stale_since=known.stale_since or now, stale_because=because)


def _apart(one: Decimal, other: Decimal, factor: Decimal) -> bool:
    return max(one, other) >= _WIDE.multiply(min(one, other), factor)
