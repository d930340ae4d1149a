"""What differs between two passports of one key, in the words of a notification. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from backend.app.enums import Known, NotificationKind, UnknownBecause
from backend.app.schemas.passport_schemas import Passport

END_WARNINGS_DAYS: Final = (14, 3, 1)
_RIGHTS: Final = ("can_read", "can_trade", "can_withdraw", "can_transfer")
_NOT_ASKED: Final = frozenset({UnknownBecause.REFUSED, UnknownBecause.NO_ANSWER})


@dataclass(frozen=True, slots=True)
class Change:
    """Something its owner should know, with facts that are never secret."""

    kind: NotificationKind
    facts: dict[str, Any] = field(default_factory=dict)


def changes_between(before: Passport | None, after: Passport) -> list[Change]:
    """Return what to tell the owner of a key whose newest passport is `after`.

    What turns unknown, or was, is no change: nobody knows. The right to withdraw is told of
    whenever it is seen for the first time, and the end of a key once for each warning.
    """
    return [*_rights(before, after), *_addresses(before, after), *_end(before, after)]


def says_less(after: Passport, before: Passport | None) -> bool:
    """Say whether `after` must not replace `before`: the rights were told then and not now."""
    if before is None or after.unknown_because not in _NOT_ASKED:
        return False
    return before.unknown_because not in _NOT_ASKED


def smaller_rights(before: Passport | None, after: Passport | None) -> list[dict[str, Any]]:
    """Return the rights that were told of one key and are not told of its successor.

    A right the exchange leaves open is not proved, so it counts as missing where it was told.
    """
    was = {right: getattr(before, right, Known.UNKNOWN) for right in _RIGHTS}
    now = {right: getattr(after, right, Known.UNKNOWN) for right in _RIGHTS}
    return [
        {"right": right, "was": was[right], "now": now[right]}
        for right in _RIGHTS
        if was[right] is Known.YES and now[right] is not Known.YES
    ]


def _rights(before: Passport | None, after: Passport) -> Iterator[Change]:
    for right in _RIGHTS:
        was = getattr(before, right) if before is not None else Known.UNKNOWN
        now = getattr(after, right)
        facts = {"right": right, "was": was, "now": now}
        if right == "can_withdraw" and now is Known.YES and was is not Known.YES:
            yield Change(NotificationKind.WITHDRAWAL_ENABLED, facts)
        elif (was, now) == (Known.NO, Known.YES):
            yield Change(NotificationKind.RIGHT_GAINED, facts)
        elif (was, now) == (Known.YES, Known.NO):
            yield Change(NotificationKind.RIGHT_LOST, facts)


def _addresses(before: Passport | None, after: Passport) -> Iterator[Change]:
    if before is None:
        return
    known = Known.UNKNOWN not in (before.ip_restricted, after.ip_restricted)
    switched = known and before.ip_restricted is not after.ip_restricted
    listed = before.ip_addresses is not None and after.ip_addresses is not None
    if switched or (listed and set(before.ip_addresses or ()) != set(after.ip_addresses or ())):
        facts = {"was": before.ip_addresses, "now": after.ip_addresses}
        yield Change(NotificationKind.ADDRESSES_CHANGED, facts)


def _end(before: Passport | None, after: Passport) -> Iterator[Change]:
    """Warn once when the end comes within a threshold; of several crossed at once the nearest."""
    days_before = _days_left(before) if before is not None else None
    days_left = _days_left(after)
    if days_left is None:
        return
    reached = [
        days
        for days in END_WARNINGS_DAYS
        if days_left <= days and (days_before is None or days_before > days)
    ]
    if reached:
        facts = {"within_days": min(reached), "expires_at": _ends_at(after)}
        yield Change(NotificationKind.KEY_ENDS_SOON, facts)


def _days_left(passport: Passport) -> int | None:
    """Return the whole days to the end of the key, or of its right to trade if that is sooner."""
    days = [passport.remaining_days] if passport.remaining_days is not None else []
    if passport.trading_ends_at is not None:
        days.append(max(0, (passport.trading_ends_at - passport.checked_at).days))
    return min(days, default=None)


def _ends_at(passport: Passport) -> str:
    ends = [end for end in (passport.expires_at, passport.trading_ends_at) if end is not None]
    return min(ends).isoformat()
