"""The key passport of a stored credential, and the checks it comes from."""

from fastapi import APIRouter

from backend.app.errors import CredentialNotFound, Unauthenticated
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Cursor, Limit
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import Reader
from backend.app.routes.problems import refusals
from backend.app.schemas.passport_schemas import CredentialCheckPage, StoredPassport

router = APIRouter(prefix="/credentials/{credential_id}", tags=["credentials"])


@router.get("/passport", responses=refusals(Unauthenticated, CredentialNotFound))
async def show_passport(
    credential_id: RowId, user: Reader, services: ServicesDep
) -> StoredPassport:
    """Return what the exchange last told of this key. `POST …/verify` asks it anew."""
    return await services.passports.stored(user.user_id, credential_id)


@router.get("/checks", responses=refusals(Unauthenticated, CredentialNotFound))
async def list_checks(
    credential_id: RowId,
    user: Reader,
    services: ServicesDep,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> CredentialCheckPage:
    """Return every check that is kept of this key, the newest first."""
    return await services.passports.history(user.user_id, credential_id, limit, cursor)
