"""What a request tells about the program that sends it, besides who uses it."""

from typing import Annotated, Final

from fastapi import Depends, Request, Response
from pydantic import SecretStr

from backend.app.services.device_cookies import LIFETIME
from backend.app.services.principal import Client

DEVICE_COOKIE: Final = "strongroom_device"
_COOKIE_PATH: Final = "/api/v1/auth"
_USER_AGENT_LENGTH_MAX: Final = 256


async def _asking_client(request: Request) -> Client:
    return Client(
        # Behind a proxy uvicorn puts the forwarded address here, if it trusts the proxy.
        address=request.client.host if request.client else "unknown",
        user_agent=request.headers.get("user-agent", "")[:_USER_AGENT_LENGTH_MAX],
        device_cookie=request.cookies.get(DEVICE_COOKIE),
        request_id=getattr(request.state, "request_id", None),
    )


AskingClient = Annotated[Client, Depends(_asking_client)]


def remember_device(response: Response, cookie: SecretStr, *, secure: bool) -> None:
    """Let this device show next time that its user signed in on it before."""
    response.set_cookie(
        DEVICE_COOKIE,
        cookie.get_secret_value(),
        max_age=int(LIFETIME.total_seconds()),
        path=_COOKIE_PATH,
        secure=secure,
        httponly=True,
        samesite="strict",
    )
