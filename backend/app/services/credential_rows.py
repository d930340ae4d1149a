"""What stands in a credential's row: as it is written, and as its owner may see it. Pure."""

from typing import Any

from pydantic import SecretStr

from backend.app.enums import Environment, Known
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.masking import mask_api_key
from backend.app.models.api_credential import ApiCredential
from backend.app.schemas.credential_schemas import Credential, CredentialUpdate
from backend.app.schemas.exchange_schemas import Verdict
from backend.app.schemas.passport_schemas import Passport
from backend.app.secret_value import SecretValue
from backend.app.services.credential_vault import SealedKeys


def closed_keys(api_key: str, secret: SecretStr, passphrase: SecretStr | None) -> ExchangeKeys:
    """Return a key pair as it was asked with, its secrets closed."""
    return ExchangeKeys(
        api_key=api_key,
        api_secret=SecretValue(secret.get_secret_value()),
        passphrase=hidden(passphrase),
    )


def hidden(given: SecretStr | None) -> SecretValue | None:
    """Return a secret of a request as the house handles secrets."""
    return SecretValue(given.get_secret_value()) if given is not None else None


def sealed_values(api_key: str, sealed: SealedKeys, verdict: Verdict | None) -> dict[str, Any]:
    """Return the columns of a key pair: what an earlier one proved says nothing of this one."""
    passport = verdict.passport if verdict is not None else None
    return {
        "api_key": api_key,
        "encrypted_api_secret": sealed.encrypted_api_secret,
        "encrypted_passphrase": sealed.encrypted_passphrase,
        "dek_id": sealed.dek.dek_id,
        "rev": sealed.rev,
        "key_fingerprint": sealed.key_fingerprint,
        "last_verified_at": verdict.checked_at if verdict else None,
        "has_trading_permission": verdict.has_trading_permission if verdict else None,
        "passport": passport_values(passport),
        "invalid_verdicts": 0,
        "invalid_counted_at": None,
        "deactivated_at": None,
    }


def changed_values(
    seen: ApiCredential,
    asked: CredentialUpdate,
    of_keys: dict[str, Any],
) -> dict[str, Any]:
    """Return the columns an update writes; `of_keys` are those of a new key pair, or none."""
    values = dict(of_keys)
    if of_keys and seen.deactivated_at is not None:
        # The house had switched off the old pair; this is another.
        values["is_active"] = True
    if "label" in asked.model_fields_set:
        values["label"] = asked.label
    if asked.is_active is not None:
        # A person decided: the house neither undoes it nor goes on counting towards its own.
        values |= {"is_active": asked.is_active, "deactivated_at": None}
        values |= {"invalid_verdicts": 0, "invalid_counted_at": None}
    return values


def passport_values(passport: Passport | None) -> dict[str, Any] | None:
    """Return a passport as it is stored."""
    return passport.model_dump(mode="json") if passport is not None else None


def stored_passport(stored: dict[str, Any] | None) -> Passport | None:
    """Return a passport as it was issued."""
    return Passport.model_validate(stored) if stored is not None else None


def shown(credential: ApiCredential) -> Credential:
    """Return a credential as its owner may see it."""
    passport = credential.passport or {}
    return Credential(
        id=credential.id,
        exchange_name=credential.exchange_name,
        environment=Environment(credential.environment),
        label=credential.label,
        api_key_masked=mask_api_key(credential.api_key),
        is_active=credential.is_active,
        has_trading_permission=credential.has_trading_permission,
        can_withdraw=Known(passport["can_withdraw"]) if passport else None,
        expires_at=passport.get("expires_at"),
        last_verified_at=credential.last_verified_at,
        created_at=credential.created_at,
        updated_at=credential.updated_at,
    )
