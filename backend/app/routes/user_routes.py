"""Everybody, for an administrator."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query

from backend.app.errors import (
    Forbidden,
    LastAdministrator,
    PasswordQueueFull,
    PasswordRefused,
    Unauthenticated,
    UserExists,
    UserNotFound,
    UserOnTheBooks,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import Administrator
from backend.app.routes.problems import refusals
from backend.app.schemas.user_schemas import (
    RECORD_ID_MAX,
    UserCreate,
    UserPage,
    UserProfile,
    UserUpdate,
)

PAGE_ITEMS_MAX: Final = 200
PAGE_ITEMS_DEFAULT: Final = 50

router = APIRouter(prefix="/users", tags=["users"])

Limit = Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)]
Cursor = Annotated[int, Query(ge=0, le=RECORD_ID_MAX, description="`next_cursor` of the last page")]


@router.get(
    "",
    responses=refusals(Unauthenticated, Forbidden),
)
async def list_users(
    administrator: Administrator,
    services: ServicesDep,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: Cursor = 0,
) -> UserPage:
    """List everybody, page by page."""
    return await services.users.page(administrator, limit, cursor)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=refusals(Unauthenticated, Forbidden, UserExists, PasswordRefused, PasswordQueueFull),
)
async def create_user(
    asked: UserCreate, administrator: Administrator, services: ServicesDep
) -> UserProfile:
    """Enter somebody, with any role."""
    return await services.users.create(administrator, asked)


@router.get("/{user_id}", responses=refusals(Unauthenticated, Forbidden, UserNotFound))
async def read_user(
    user_id: RowId, administrator: Administrator, services: ServicesDep
) -> UserProfile:
    """Show somebody."""
    return await services.users.get(administrator, user_id)


@router.patch(
    "/{user_id}",
    responses=refusals(Unauthenticated, Forbidden, UserNotFound, UserExists, LastAdministrator),
)
async def update_user(
    user_id: RowId, asked: UserUpdate, administrator: Administrator, services: ServicesDep
) -> UserProfile:
    """Change somebody. A new role, or disabling, ends that person's sessions at once."""
    return await services.users.update(administrator, user_id, asked)


@router.delete(
    "/{user_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(Unauthenticated, Forbidden, UserNotFound, LastAdministrator, UserOnTheBooks),
)
async def delete_user(user_id: RowId, administrator: Administrator, services: ServicesDep) -> None:
    """Delete somebody, with everything that is theirs. Who has an account in the ledger stays."""
    await services.users.delete(administrator, user_id)
