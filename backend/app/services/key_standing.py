"""When a key is switched off: only on verdicts, only repeated, and never for an outage. Pure.

A verdict is an exchange's word on the key itself. One may be a mistake of the exchange, three in a
row with time between them are not.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from backend.app.enums import NotificationKind
from backend.app.exchanges.reasons import Standing

INVALID_VERDICTS_TO_DEACTIVATE: Final = 3
INVALID_VERDICTS_APART: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """How the exchange judged a key lately. `deactivated_at` is set while the house keeps it off.

    A person's own switching off is not the house's, and the house does not undo it.
    """

    is_active: bool
    invalid_verdicts: int = 0
    invalid_counted_at: datetime | None = None
    deactivated_at: datetime | None = None


def judged(
    before: KeyStanding, refused: Standing | None, at: datetime
) -> tuple[KeyStanding, NotificationKind | None]:
    """Return how a key stands after one more verdict, and what to tell of it.

    `refused` is None for a valid key. A key the house switched off is switched on again by the
    first valid verdict: it was off for what is not so any more.
    """
    if refused is Standing.NO_VERDICT:
        return before, None
    if refused is Standing.INVALID:
        return _one_more(before, at)
    reset = replace(before, invalid_verdicts=0, invalid_counted_at=None)
    if refused is None and before.deactivated_at is not None:
        again = replace(reset, is_active=True, deactivated_at=None)
        return again, NotificationKind.KEY_VALID_AGAIN
    return reset, None


def _one_more(before: KeyStanding, at: datetime) -> tuple[KeyStanding, NotificationKind | None]:
    last = before.invalid_counted_at
    full = before.invalid_verdicts >= INVALID_VERDICTS_TO_DEACTIVATE
    if full or (last is not None and at - last < INVALID_VERDICTS_APART):
        return before, None
    count = before.invalid_verdicts + 1
    after = replace(before, invalid_verdicts=count, invalid_counted_at=at)
    if count == INVALID_VERDICTS_TO_DEACTIVATE and before.is_active:
        off = replace(after, is_active=False, deactivated_at=at)
        return off, NotificationKind.KEY_DEACTIVATED
    return after, NotificationKind.KEY_INVALID if count == 1 else None
