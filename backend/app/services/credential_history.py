"""What a check leaves behind: a line of history, the new passport, and what its owner should know.

A tool beneath the use cases: it writes into their block and commits nothing. Without a verdict the
line is all there is; what we knew before still stands.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import NotificationKind
from backend.app.exchanges.reasons import Standing
from backend.app.models.api_credential import ApiCredential
from backend.app.models.credential_check import CredentialCheck
from backend.app.models.notification_event import NotificationEvent
from backend.app.repositories.credential_check_repository import CredentialCheckRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.schemas.exchange_schemas import Verdict
from backend.app.schemas.passport_schemas import VALID
from backend.app.services.credential_rows import passport_values, stored_passport
from backend.app.services.key_standing import KeyStanding, judged
from backend.app.services.passport_changes import Change, changes_between, says_less

_SHARED_SHOWN_MAX: Final = 20


async def keep_first_check(
    session: AsyncSession, credential: ApiCredential, verdict: Verdict
) -> None:
    """Begin the history of a key pair that was just bound, its passport already in its row."""
    await CredentialCheckRepository(session).add(_line(credential, verdict))
    if verdict.passport is not None:
        changes = changes_between(None, verdict.passport)
        await tell_owner(session, credential, changes, verdict.checked_at)


async def keep_check(
    session: AsyncSession, seen: ApiCredential, verdict: Verdict
) -> NotificationKind | None:
    """Keep a check of the key pair in `seen`; return how its standing changed, if it did.

    Raises:
        CredentialChanged: replaced or deleted since it was read.
    """
    held = await CredentialRepository(session).hold(seen)
    await CredentialCheckRepository(session).add(_line(held, verdict))
    if verdict.standing is Standing.NO_VERDICT:
        return None
    values, changes = _learned(held, verdict)
    standing, news = judged(_standing(held), verdict.standing, verdict.checked_at)
    if news is not None:
        changes.append(Change(news, {"reason": verdict.reason, "code": verdict.exchange_code}))
    await CredentialRepository(session).stamp(held, values | _differing(held, standing))
    await tell_owner(session, held, changes, verdict.checked_at)
    return news


async def report_shared_key(session: AsyncSession, credential: ApiCredential, at: datetime) -> int:
    """Tell the administrators who else has bound this key; return how many credentials hold it."""
    others = await CredentialRepository(session).bound_by_others(
        credential.user_id, credential.key_fingerprint, _SHARED_SHOWN_MAX
    )
    if others:
        facts = {
            "exchange_name": credential.exchange_name,
            "user_id": credential.user_id,
            "others": [{"user_id": user, "credential_id": bound} for user, bound in others],
        }
        event = _event(NotificationKind.KEY_SHARED, None, credential.id, facts, at)
        await NotificationRepository(session).add(event)
    return len(others)


def _learned(held: ApiCredential, verdict: Verdict) -> tuple[dict[str, Any], list[Change]]:
    """Return what the verdict teaches of the key, and what of it is news."""
    values: dict[str, Any] = {"last_verified_at": verdict.checked_at} if verdict.is_valid else {}
    before, after = stored_passport(held.passport), verdict.passport
    if after is None or says_less(after, before):
        return values, []
    values["passport"] = passport_values(after)
    if verdict.is_valid:
        values["has_trading_permission"] = verdict.has_trading_permission
    return values, changes_between(before, after)


def _standing(held: ApiCredential) -> KeyStanding:
    return KeyStanding(
        is_active=held.is_active,
        invalid_verdicts=held.invalid_verdicts,
        invalid_counted_at=held.invalid_counted_at,
        deactivated_at=held.deactivated_at,
    )


def _differing(held: ApiCredential, standing: KeyStanding) -> dict[str, Any]:
    names = KeyStanding.__dataclass_fields__
    return {
        name: getattr(standing, name)
        for name in names
        if getattr(standing, name) != getattr(held, name)
    }


def _line(credential: ApiCredential, verdict: Verdict) -> CredentialCheck:
    return CredentialCheck(
        credential_id=credential.id,
        user_id=credential.user_id,
        checked_at=verdict.checked_at,
        standing=verdict.standing or VALID,
        reason=verdict.reason,
        exchange_code=verdict.exchange_code,
        passport=passport_values(verdict.passport),
        latency_ms=verdict.latency_ms,
    )


async def tell_owner(
    session: AsyncSession, credential: ApiCredential, changes: Iterable[Change], at: datetime
) -> None:
    """Write what the owner of a credential should know."""
    notifications = NotificationRepository(session)
    for change in changes:
        facts = {"exchange_name": credential.exchange_name, **change.facts}
        event = _event(change.kind, credential.user_id, credential.id, facts, at)
        await notifications.add(event)


def _event(
    kind: NotificationKind,
    user_id: int | None,
    credential_id: int,
    facts: dict[str, Any],
    at: datetime,
) -> NotificationEvent:
    return NotificationEvent(
        user_id=user_id, kind=kind.value, credential_id=credential_id, facts=facts, created_at=at
    )
