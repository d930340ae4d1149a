"""What the audit trail says of credentials."""

from datetime import datetime
from typing import Final

from backend.app.audit_record import Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.enums import NotificationKind
from backend.app.models.api_credential import ApiCredential
from backend.app.schemas.exchange_schemas import Verdict
from backend.app.services.credential_vault import SealedKeys
from backend.app.services.crypto_service import ciphertext_fingerprint
from backend.app.services.key_policy import can_withdraw

WITHDRAWAL_ALLOWED: Final = "withdrawal-allowed"
_ACTS: Final = {
    NotificationKind.KEY_DEACTIVATED: Act.CREDENTIAL_DEACTIVATED,
    NotificationKind.KEY_VALID_AGAIN: Act.CREDENTIAL_REACTIVATED,
}


def written(
    act: Act,
    credential: ApiCredential,
    caller: Caller,
    at: datetime,
    *,
    sealed: SealedKeys | None = None,
    verdict: Verdict | None = None,
) -> AuditRecord:
    """Record that a credential was stored, changed or removed.

    That a key was taken although it can withdraw stands there as the reason.
    """
    return AuditRecord(
        act=act,
        outcome=Outcome.DONE,
        caller=caller,
        at=at,
        object=_object(credential),
        reason=WITHDRAWAL_ALLOWED if can_withdraw(verdict) else None,
        kid=sealed.dek.kid if sealed else None,
        rev=credential.rev,
        ct=ciphertext_fingerprint(sealed.encrypted_api_secret) if sealed else None,
    )


def tried(
    seen: ApiCredential, verdict: Verdict, caller: Caller, news: NotificationKind | None
) -> list[AuditRecord]:
    """Record that a credential was tried, and that the house switched it off or on for that."""
    acts = [Act.CREDENTIAL_VERIFIED, *([_ACTS[news]] if news in _ACTS else [])]
    return [
        AuditRecord(
            act=act,
            outcome=Outcome.DENIED
            if act is Act.CREDENTIAL_VERIFIED and not verdict.is_valid
            else Outcome.DONE,
            caller=caller,
            at=verdict.checked_at,
            object=_object(seen),
            reason=verdict.reason,
            rev=seen.rev,
        )
        for act in acts
    ]


def shared(credential: ApiCredential, caller: Caller, at: datetime, others: int) -> AuditRecord:
    """Record that so many credentials of other users hold the same key."""
    return AuditRecord(
        act=Act.CREDENTIAL_SHARED,
        outcome=Outcome.DONE,
        caller=caller,
        at=at,
        object=_object(credential),
        n=others,
    )


def _object(credential: ApiCredential) -> AuditObject:
    return AuditObject("credential", credential.id, credential.user_id)
