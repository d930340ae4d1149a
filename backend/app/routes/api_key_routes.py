"""Keys for your programs. Only somebody who signed in makes, sees or revokes them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.app.errors import (
    ApiKeyNotFound,
    Forbidden,
    SessionNeeded,
    TooManyApiKeys,
    Unauthenticated,
    UserNotFound,
    VaultSealed,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import AdministratorInSession, CurrentUser
from backend.app.routes.problems import refusals
from backend.app.schemas.api_key_schemas import ApiKeyCreate, ApiKeyMade, ApiKeyShown

router = APIRouter(tags=["platform keys"])

KeyId = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{8}$")]


@router.post(
    "/api-keys",
    status_code=HTTPStatus.CREATED,
    responses=refusals(Unauthenticated, SessionNeeded, TooManyApiKeys, VaultSealed),
)
async def create_api_key(
    asked: ApiKeyCreate, user: CurrentUser, services: ServicesDep, response: Response
) -> ApiKeyMade:
    """Make a key for one of your programs. Keep the answer: it is never shown again."""
    response.headers["Cache-Control"] = "no-store"
    return await services.api_keys.create(user, asked)


@router.get("/api-keys", responses=refusals(Unauthenticated, SessionNeeded))
async def list_api_keys(user: CurrentUser, services: ServicesDep) -> list[ApiKeyShown]:
    """Return your keys, the newest first; never a secret."""
    return await services.api_keys.list_own(user)


@router.delete(
    "/api-keys/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(Unauthenticated, SessionNeeded, ApiKeyNotFound),
)
async def revoke_api_key(key_id: KeyId, user: CurrentUser, services: ServicesDep) -> None:
    """End one of your keys, in every process at once."""
    await services.api_keys.revoke(user, key_id)


@router.get(
    "/users/{user_id}/api-keys",
    responses=refusals(Unauthenticated, SessionNeeded, Forbidden, UserNotFound),
)
async def list_users_api_keys(
    user_id: RowId, administrator: AdministratorInSession, services: ServicesDep
) -> list[ApiKeyShown]:
    """Return somebody's keys; never a secret."""
    return await services.api_keys.list_of(administrator, user_id)


@router.delete(
    "/users/{user_id}/api-keys",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(Unauthenticated, SessionNeeded, Forbidden, UserNotFound),
)
async def revoke_users_api_keys(
    user_id: RowId, administrator: AdministratorInSession, services: ServicesDep
) -> None:
    """End every key of somebody, in every process at once."""
    await services.api_keys.revoke_all_of(administrator, user_id)
