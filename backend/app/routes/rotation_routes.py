"""Staged rotation of an exchange key: pending until proved, in use at once, back on request."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter

from backend.app.errors import (
    AuditUnavailable,
    CredentialChanged,
    CredentialExists,
    CredentialNotFound,
    CredentialOfOtherEnvironment,
    CredentialRefused,
    CredentialUnreadable,
    ExchangeThrottled,
    ExchangeUnreachable,
    KeyCanWithdraw,
    KeyVersionNotFound,
    RotationPending,
    RotationRightsSmaller,
    Unauthenticated,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import Manager, Reader
from backend.app.routes.problems import refusals
from backend.app.schemas.rotation_schemas import Rotation, RotationStart, RotationTry

router = APIRouter(prefix="/credentials/{credential_id}/rotation", tags=["credentials"])

_SWITCHING: Final = (
    CredentialRefused,
    KeyCanWithdraw,
    Unauthenticated,
    CredentialNotFound,
    CredentialExists,
    CredentialChanged,
    CredentialOfOtherEnvironment,
    ExchangeThrottled,
    ExchangeUnreachable,
    AuditUnavailable,
    CredentialUnreadable,
)


@router.post("", responses=refusals(*_SWITCHING, RotationPending, RotationRightsSmaller))
async def start_rotation(
    credential_id: RowId, asked: RotationStart, user: Manager, services: ServicesDep
) -> Rotation:
    """Try a new key pair, and put it into use if it may do as much as the one before."""
    return await services.rotations.start(user.user_id, credential_id, asked, user.caller)


@router.get("", responses=refusals(Unauthenticated, CredentialNotFound))
async def show_rotation(credential_id: RowId, user: Reader, services: ServicesDep) -> Rotation:
    """Return the pair in use, the one to come and the one before; never a secret."""
    return await services.rotations.show(user.user_id, credential_id)


@router.delete(
    "",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(
        Unauthenticated,
        CredentialNotFound,
        KeyVersionNotFound,
        CredentialChanged,
        CredentialOfOtherEnvironment,
    ),
)
async def drop_rotation(credential_id: RowId, user: Manager, services: ServicesDep) -> None:
    """Destroy the pending pair."""
    await services.rotations.drop(user.user_id, credential_id, user.caller)


@router.post("/verify", responses=refusals(*_SWITCHING, KeyVersionNotFound, RotationRightsSmaller))
async def verify_rotation(
    credential_id: RowId,
    user: Manager,
    services: ServicesDep,
    asked: RotationTry | None = None,
) -> Rotation:
    """Try the pending pair again."""
    return await services.rotations.resume(
        user.user_id, credential_id, asked or RotationTry(), user.caller
    )


@router.post("/restore", responses=refusals(*_SWITCHING, KeyVersionNotFound))
async def restore_previous(credential_id: RowId, user: Manager, services: ServicesDep) -> Rotation:
    """Put the pair from before back into use, if its exchange accepts it."""
    return await services.rotations.restore(user.user_id, credential_id, user.caller)
