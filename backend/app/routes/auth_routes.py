"""Signing in: register, token, refresh, logout."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, Response

from backend.app.errors import (
    AddressThrottled,
    LoginDelayed,
    LoginRefused,
    PasswordQueueFull,
    PasswordRefused,
    RefreshRefused,
    Unauthenticated,
    UserExists,
)
from backend.app.routes.client import AskingClient, remember_device
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.policy import PUBLIC, CurrentUser
from backend.app.routes.problems import refusals
from backend.app.schemas.auth_schemas import LoginRequest, RefreshRequest, TokenPair
from backend.app.schemas.user_schemas import Registration, UserProfile

router = APIRouter(prefix="/auth", tags=["login"])


@router.post(
    "/register",
    status_code=HTTPStatus.CREATED,
    dependencies=[Depends(PUBLIC)],
    responses=refusals(UserExists, PasswordRefused, AddressThrottled, PasswordQueueFull),
)
async def register(asked: Registration, client: AskingClient, services: ServicesDep) -> UserProfile:
    """Enter yourself as a new user."""
    return await services.auth.register(asked, client)


@router.post(
    "/token",
    dependencies=[Depends(PUBLIC)],
    responses=refusals(LoginRefused, LoginDelayed, AddressThrottled, PasswordQueueFull),
)
async def token(
    asked: LoginRequest, client: AskingClient, services: ServicesDep, response: Response
) -> TokenPair:
    """Sign in with name and password."""
    signed_in = await services.auth.login(asked, client)
    secure = services.settings.auth.secure_cookies
    remember_device(response, signed_in.device_cookie, secure=secure)
    return signed_in.tokens


@router.post("/refresh", dependencies=[Depends(PUBLIC)], responses=refusals(RefreshRefused))
async def refresh(asked: RefreshRequest, client: AskingClient, services: ServicesDep) -> TokenPair:
    """Exchange a refresh token, which works once, for the next pair."""
    return await services.auth.refresh(asked, client)


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT, responses=refusals(Unauthenticated))
async def logout(user: CurrentUser, services: ServicesDep) -> None:
    """End this session, in every process at once."""
    await services.auth.logout(user)
