"""People as they come in, and as they may be shown: never with a password or its hash."""

import re
from datetime import datetime
from typing import Annotated, Final, Self

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from backend.app.enums import Role
from backend.app.schemas.fields import Request
from backend.app.schemas.merchant_schemas import MerchantStanding
from backend.app.schemas.money_fields import MoneyGiven

USERNAME_LENGTH_MAX: Final = 50
EMAIL_LENGTH_MAX: Final = 100
FULL_NAME_LENGTH_MAX: Final = 1000
BANK_ACCOUNT_LENGTH_MIN: Final = 4
BANK_ACCOUNT_LENGTH_MAX: Final = 64
PASSWORD_LENGTH_MIN: Final = 8
PASSWORD_LENGTH_MAX: Final = 128
# The largest id PostgreSQL's bigint holds.
RECORD_ID_MAX: Final = 2**63 - 1
_BANK_ACCOUNT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ./_-]*[A-Za-z0-9])?")


def _email(value: str) -> str:
    """Return the address in the one form it is stored and compared in."""
    printable(value)
    try:
        found = validate_email(value, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise PydanticCustomError("email", "An e-mail address looks like name@domain") from None
    stored = (found.ascii_email or found.normalized).lower()
    if len(stored) > EMAIL_LENGTH_MAX:
        raise PydanticCustomError("email_too_long", "At most 100 characters")
    return stored


def printable(value: str) -> str:
    """Return a text without control characters, line breaks or halves of characters."""
    if not value.isprintable():
        raise PydanticCustomError("unprintable", "Printable characters only")
    return value


def _bank_account(value: SecretStr) -> SecretStr:
    if not _BANK_ACCOUNT.fullmatch(value.get_secret_value()):
        raise PydanticCustomError("bank_account", "Letters and digits, with spaces, dots or dashes")
    return value


def _utf8(value: SecretStr) -> SecretStr:
    raw = value.get_secret_value()
    # Half of a surrogate pair, which JSON lets through, is no character.
    if "\0" in raw or any("\ud800" <= character <= "\udfff" for character in raw):
        raise PydanticCustomError("password_characters", "Holds something that is no character")
    return value


Username = Annotated[
    str,
    Field(min_length=3, max_length=USERNAME_LENGTH_MAX, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"),
]
Email = Annotated[
    str,
    Field(min_length=3, max_length=EMAIL_LENGTH_MAX, json_schema_extra={"format": "email"}),
    AfterValidator(_email),
]
FullName = Annotated[str, Field(max_length=FULL_NAME_LENGTH_MAX), AfterValidator(printable)]
NewPassword = Annotated[
    SecretStr,
    Field(min_length=PASSWORD_LENGTH_MIN, max_length=PASSWORD_LENGTH_MAX),
    AfterValidator(_utf8),
]
BankAccount = Annotated[
    SecretStr,
    Field(min_length=BANK_ACCOUNT_LENGTH_MIN, max_length=BANK_ACCOUNT_LENGTH_MAX),
    AfterValidator(_bank_account),
]
GivenPassword = Annotated[
    SecretStr, Field(min_length=1, max_length=PASSWORD_LENGTH_MAX), AfterValidator(_utf8)
]


class _NewPerson(Request):
    username: Username
    password: NewPassword
    full_name: FullName | None = None


class Registration(_NewPerson):
    """Somebody new. Who asks for credit is a merchant, and may leave the e-mail address out."""

    requested_credit: MoneyGiven | None = None
    bank_account: BankAccount | None = None
    email: Annotated[Email | None, Field(validate_default=True)] = None

    @field_validator("email")
    @classmethod
    def _asked_of_ordinary_users(cls, value: str | None, info: ValidationInfo) -> str | None:
        # Credit that was refused itself is not in `data`: then one error is enough.
        is_ordinary = info.data.get("requested_credit", ...) is None
        if value is None and is_ordinary:
            raise PydanticCustomError("missing", "Field required")
        return value

    @model_validator(mode="after")
    def _whole_merchant(self) -> Self:
        if (self.requested_credit is None) != (self.bank_account is None):
            raise PydanticCustomError(
                "merchant", "A merchant gives both requested_credit and bank_account"
            )
        return self


class UserCreate(_NewPerson):
    """Somebody new, entered by an administrator."""

    email: Email
    role: Role = Role.USER


class ProfileUpdate(Request):
    """What to change of oneself; what is left out stays. `full_name: null` removes the name."""

    email: Email | None = None
    full_name: FullName | None = None

    def changes(self) -> dict[str, str | None]:
        """Return what to store: `email: null` says nothing, `full_name: null` removes."""
        changes: dict[str, str | None] = {}
        if self.email is not None:
            changes["email"] = self.email
        if "full_name" in self.model_fields_set:
            changes["full_name"] = self.full_name
        return changes


class UserUpdate(ProfileUpdate):
    """What an administrator changes of somebody; what is left out stays."""

    role: Role | None = None
    is_active: bool | None = None


class PasswordChange(Request):
    """A new password, and the current one as proof."""

    current_password: GivenPassword
    new_password: NewPassword


class UserProfile(BaseModel):
    """A person as shown."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    email: str
    full_name: str | None
    role: Role
    is_active: bool
    created_at: datetime
    updated_at: datetime


class Me(UserProfile):
    """Oneself. `merchant` is null for everybody who asked for no credit."""

    merchant: MerchantStanding | None


class UserPage(BaseModel):
    """Some users, and where to go on."""

    items: list[UserProfile]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")
