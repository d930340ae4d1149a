"""What a rotation writes and shows: rows of key pairs, their faces, their news. Pure."""

from datetime import datetime, timedelta
from typing import Any, Final

from backend.app.enums import KeyState, Known
from backend.app.masking import mask_api_key
from backend.app.models.api_credential import ApiCredential
from backend.app.models.credential_key_version import CredentialKeyVersion
from backend.app.schemas.passport_schemas import Passport
from backend.app.schemas.rotation_schemas import KeyVersion, Rotation
from backend.app.services.credential_rows import stored_passport
from backend.app.services.credential_vault import SealedKeys

VERSION_KEPT_FOR: Final = timedelta(hours=24)
ROLLS_BACK_FOR: Final = timedelta(hours=1)


def pending_version(
    seen: ApiCredential, version_id: int, api_key: str, sealed: SealedKeys, at: datetime
) -> CredentialKeyVersion:
    """Return the row of a pair that is to take the place of the one in `seen`."""
    return CredentialKeyVersion(
        state=KeyState.PENDING.value,
        api_key=api_key,
        **_placed(seen, version_id, sealed, at),
    )


def previous_version(
    held: ApiCredential, version_id: int, sealed: SealedKeys, at: datetime, *, rolls_back: bool
) -> CredentialKeyVersion:
    """Return the row of the pair that was in use until now, sealed anew for its new place."""
    return CredentialKeyVersion(
        state=KeyState.PREVIOUS.value,
        api_key=held.api_key,
        passport=held.passport,
        replaced_by_rev=held.rev + 1,
        rolls_back_until=at + ROLLS_BACK_FOR if rolls_back else None,
        **_placed(held, version_id, sealed, at),
    )


def could_withdraw(version: CredentialKeyVersion) -> bool:
    """Say whether this pair was taken, once, although it can withdraw."""
    passport = stored_passport(version.passport)
    return passport is not None and passport.can_withdraw is Known.YES


def of_other_account(before: Passport | None, after: Passport | None) -> bool | None:
    """Say whether two keys belong to different accounts; None if the exchange does not tell."""
    uids = [passport.owner_uid if passport is not None else None for passport in (before, after)]
    return None if None in uids else uids[0] != uids[1]


def shown_rotation(
    current: ApiCredential,
    pending: CredentialKeyVersion | None,
    previous: CredentialKeyVersion | None,
) -> Rotation:
    """Return where a credential stands, as its owner may see it."""
    return Rotation(
        credential_id=current.id,
        current=KeyVersion(
            state=KeyState.CURRENT,
            api_key_masked=mask_api_key(current.api_key),
            verified_at=current.last_verified_at,
            expires_at=None,
            rolls_back_until=None,
        ),
        pending=_shown(pending),
        previous=_shown(previous),
    )


def _placed(
    credential: ApiCredential, version_id: int, sealed: SealedKeys, at: datetime
) -> dict[str, Any]:
    return {
        "id": version_id,
        "credential_id": credential.id,
        "user_id": credential.user_id,
        "encrypted_api_secret": sealed.encrypted_api_secret,
        "encrypted_passphrase": sealed.encrypted_passphrase,
        "dek_id": sealed.dek.dek_id,
        "rev": sealed.rev,
        "created_at": at,
        "expires_at": at + VERSION_KEPT_FOR,
    }


def _shown(version: CredentialKeyVersion | None) -> KeyVersion | None:
    if version is None:
        return None
    passport = stored_passport(version.passport)
    return KeyVersion(
        state=KeyState(version.state),
        api_key_masked=mask_api_key(version.api_key),
        verified_at=passport.checked_at if passport is not None else None,
        expires_at=version.expires_at,
        rolls_back_until=version.rolls_back_until,
    )
