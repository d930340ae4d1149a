"""The vault: bind, list, show, change, try and remove exchange keys."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from backend.app.errors import (
    AuditUnavailable,
    CredentialChanged,
    CredentialExists,
    CredentialNotFound,
    CredentialOfOtherEnvironment,
    CredentialRefused,
    CredentialUnreadable,
    ExchangeThrottled,
    ExchangeUnknown,
    ExchangeUnreachable,
    KeyCanWithdraw,
    TooManyCredentials,
    Unauthenticated,
)
from backend.app.routes.dependencies import ServicesDep, services_of
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import Manager, Reader, Trader
from backend.app.routes.problems import refusals
from backend.app.schemas.credential_schemas import Credential, CredentialCreate, CredentialUpdate
from backend.app.schemas.exchange_schemas import Verdict

router = APIRouter(prefix="/credentials", tags=["credentials"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=refusals(
        CredentialRefused,
        KeyCanWithdraw,
        Unauthenticated,
        CredentialExists,
        TooManyCredentials,
        ExchangeUnknown,
        ExchangeThrottled,
        ExchangeUnreachable,
    ),
)
async def bind(asked: CredentialCreate, user: Manager, services: ServicesDep) -> Credential:
    """Try a key pair at its exchange, and store it sealed if the exchange accepts it."""
    return await services.credentials.create(user.user_id, asked, user.caller)


@router.get("", response_model=list[Credential], responses=refusals(Unauthenticated))
async def list_credentials(user: Reader, request: Request) -> Response:
    """Return your credentials, oldest first; never a secret."""
    # What is asked most: no second dependency to solve (bench/credentials_list.py), and ready
    # bytes, which the model made when they were read from the database.
    listed = await services_of(request).credentials.list_json(user.user_id)
    return Response(listed, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get("/{credential_id}", responses=refusals(Unauthenticated, CredentialNotFound))
async def show(credential_id: RowId, user: Reader, services: ServicesDep) -> Credential:
    """Return one of your credentials."""
    return await services.credentials.get(user.user_id, credential_id)


@router.put(
    "/{credential_id}",
    responses=refusals(
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
    ),
)
async def change(
    credential_id: RowId,
    asked: CredentialUpdate,
    user: Manager,
    services: ServicesDep,
) -> Credential:
    """Change a credential. New keys are tried first; a refusal leaves the old ones in place."""
    return await services.credentials.update(user.user_id, credential_id, asked, user.caller)


@router.delete(
    "/{credential_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(Unauthenticated, CredentialNotFound),
)
async def remove(credential_id: RowId, user: Manager, services: ServicesDep) -> None:
    """Remove a credential for good."""
    await services.credentials.delete(user.user_id, credential_id, user.caller)


@router.post(
    "/{credential_id}/verify",
    responses=refusals(
        Unauthenticated,
        CredentialNotFound,
        CredentialChanged,
        CredentialOfOtherEnvironment,
        ExchangeThrottled,
        ExchangeUnreachable,
        AuditUnavailable,
        CredentialUnreadable,
    ),
)
async def verify_stored(credential_id: RowId, user: Trader, services: ServicesDep) -> Verdict:
    """Ask the exchange what a stored key may do, now, and remember when it last worked."""
    return await services.credentials.verify(user.user_id, credential_id, user.caller)
