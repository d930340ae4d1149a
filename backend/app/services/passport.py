"""The key passport: what the exchange told, what the answers themselves prove, and which is which.

Pure: facts in, one schema out. What is shown and stored of an exchange's own words is bounded
and printable, because an exchange may say anything.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from backend.app.enums import Environment, Evidence, Known, UnknownBecause
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.reasons import PASSING, Refusal
from backend.app.exchanges.verification import Verification
from backend.app.schemas.passport_schemas import Passport

ADDRESSES_MAX: Final = 100
TEXT_LENGTH_MAX: Final = 64
_RIGHTS: Final = ("can_read", "can_trade", "can_withdraw", "can_transfer")
_DAY: Final = timedelta(days=1)
# Further off than this is no end date, and days beyond it make no date.
_DAYS_MAX: Final = 36_500


def issue_passport(found: Verification, environment: Environment, at: datetime) -> Passport | None:
    """Return what is known of a key now, or None where nothing is: it was refused altogether."""
    known = found.key_information
    if known is None and found.refusal is not None:
        return None
    told = known or KeyInformation()
    expires_at, remaining_days = _end(told, at)
    statements = {
        "can_read": _reading(found, told),
        "can_trade": _trading(found, told, at),
        "can_withdraw": (told.can_withdraw, Evidence.KEY_INFO),
        "can_transfer": (told.can_transfer, Evidence.KEY_INFO),
        "ip_restricted": (told.ip_restricted, Evidence.KEY_INFO),
        "is_sub_account": (told.is_sub_account, Evidence.KEY_INFO),
    }
    answers = {name: answer for name, (answer, _) in statements.items()}
    passport = Passport(
        checked_at=at,
        environment=environment,
        can_read=answers["can_read"],
        can_trade=answers["can_trade"],
        can_withdraw=answers["can_withdraw"],
        can_transfer=answers["can_transfer"],
        ip_restricted=answers["ip_restricted"],
        is_sub_account=answers["is_sub_account"],
        ip_addresses=_addresses(told),
        expires_at=expires_at,
        remaining_days=remaining_days,
        trading_ends_at=told.trading_ends_at,
        owner_uid=None if told.owner_uid is None else _plain(told.owner_uid),
        clock_offset_ms=found.clock_offset_ms,
        latency_ms=found.latency_ms,
        unknown_because=_why_unknown(answers, found.key_information_refusal),
        evidence={name: rests_on for name, (is_so, rests_on) in statements.items() if _told(is_so)},
    )
    passport.evidence.update(_other_evidence(passport, found))
    return passport


def _reading(found: Verification, told: KeyInformation) -> tuple[Known, Evidence]:
    # A balance that was read outweighs whatever the key is said to be.
    if found.refusal is None and told.can_read is not Known.YES:
        return Known.YES, Evidence.ACCOUNT
    return told.can_read, Evidence.KEY_INFO


def _trading(found: Verification, told: KeyInformation, at: datetime) -> tuple[Known, Evidence]:
    if told.can_trade is Known.UNKNOWN:
        return found.dry_run_order, Evidence.DRY_RUN_ORDER
    ended = told.trading_ends_at is not None and told.trading_ends_at <= at
    return (Known.NO if ended else told.can_trade), Evidence.KEY_INFO


def _end(told: KeyInformation, at: datetime) -> tuple[datetime | None, int | None]:
    """Return the end and the whole days to it, each made from the other where one is told."""
    if told.expires_at is not None:
        return told.expires_at, max(0, (told.expires_at - at) // _DAY)
    if told.remaining_days is None or told.remaining_days > _DAYS_MAX:
        return None, None
    return at + told.remaining_days * _DAY, told.remaining_days


def _why_unknown(answers: dict[str, Known], refusal: Refusal | None) -> UnknownBecause | None:
    if all(_told(answers[right]) for right in _RIGHTS):
        return None
    if refusal is None:
        return UnknownBecause.NOT_TOLD
    silent = refusal.reason in PASSING
    return UnknownBecause.NO_ANSWER if silent else UnknownBecause.REFUSED


def _other_evidence(passport: Passport, found: Verification) -> Iterator[tuple[str, Evidence]]:
    for name in ("ip_addresses", "expires_at", "remaining_days", "trading_ends_at", "owner_uid"):
        if getattr(passport, name) is not None:
            yield name, Evidence.KEY_INFO
    if found.clock_evidence is not None:
        yield "clock_offset_ms", found.clock_evidence


def _addresses(told: KeyInformation) -> list[str] | None:
    if told.ip_addresses is None:
        return None
    return [_plain(address) for address in told.ip_addresses[:ADDRESSES_MAX]]


def _plain(text: str) -> str:
    # PostgreSQL's jsonb takes no NUL and no lone surrogate; neither is printable.
    return "".join(letter for letter in text if letter.isprintable())[:TEXT_LENGTH_MAX]


def _told(answer: Known) -> bool:
    return answer is not Known.UNKNOWN
