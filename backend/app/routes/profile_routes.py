"""Oneself."""

from http import HTTPStatus

from fastapi import APIRouter

from backend.app.errors import (
    LoginDelayed,
    PasswordQueueFull,
    PasswordRefused,
    PasswordWrong,
    Unauthenticated,
    UserExists,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.policy import CurrentUser, Reader
from backend.app.routes.problems import refusals
from backend.app.schemas.user_schemas import Me, PasswordChange, ProfileUpdate, UserProfile

router = APIRouter(prefix="/me", tags=["me"])


@router.get("", responses=refusals(Unauthenticated))
async def read_me(user: Reader, services: ServicesDep) -> Me:
    """Show yourself; a merchant's credit and latest movements too."""
    return await services.profiles.get(user.user_id)


@router.patch("", responses=refusals(Unauthenticated, UserExists))
async def update_me(asked: ProfileUpdate, user: CurrentUser, services: ServicesDep) -> UserProfile:
    """Change your e-mail address or full name."""
    return await services.profiles.update(user, asked)


@router.post(
    "/password",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(
        PasswordWrong, Unauthenticated, PasswordRefused, LoginDelayed, PasswordQueueFull
    ),
)
async def change_password(asked: PasswordChange, user: CurrentUser, services: ServicesDep) -> None:
    """Replace your password. All your other sessions end."""
    await services.profiles.change_password(user, asked)
