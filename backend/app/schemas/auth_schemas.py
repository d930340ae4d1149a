"""Signing in and staying signed in."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from backend.app.schemas.fields import Request
from backend.app.schemas.user_schemas import GivenPassword, printable

LOGIN_NAME_LENGTH_MAX: Final = 100
REFRESH_TOKEN_LENGTH: Final = 43


class LoginRequest(Request):
    """A name and its password."""

    username: Annotated[
        str,
        Field(min_length=1, max_length=LOGIN_NAME_LENGTH_MAX),
        AfterValidator(printable),
    ]
    password: GivenPassword


class RefreshRequest(Request):
    """The refresh token of the last answer."""

    refresh: Annotated[
        SecretStr, Field(min_length=REFRESH_TOKEN_LENGTH, max_length=REFRESH_TOKEN_LENGTH)
    ]


class TokenPair(BaseModel):
    """What a client needs to ask on, and to stay signed in. Each refresh token works once."""

    access: str = Field(repr=False)
    refresh: str = Field(repr=False)
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a scheme
    expires_in: int = Field(description="Seconds until the access token expires")
