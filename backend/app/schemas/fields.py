"""Field types that several requests share: bounded, of a known alphabet, quiet about values."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

API_KEY_LENGTH_MAX: Final = 255
API_SECRET_LENGTH_MAX: Final = 4096
PASSPHRASE_LENGTH_MAX: Final = 128
EXCHANGE_NAME_LENGTH_MAX: Final = 50
LABEL_LENGTH_MAX: Final = 100

_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_ASCII_WITH_SPACES: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
# RSA and Ed25519 keys are pasted as PEM, the only secrets with line breaks.
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\r\n]+-----END [A-Z ]*PRIVATE KEY-----\s*"
)


class Request(BaseModel):
    """The base of every request body: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _key(value: str) -> str:
    if not _VISIBLE_ASCII.fullmatch(value):
        raise PydanticCustomError(
            "key_alphabet", "Letters, digits and signs only: no spaces, line breaks or accents"
        )
    return value


def _secret(value: SecretStr) -> SecretStr:
    raw = value.get_secret_value()
    if not (_VISIBLE_ASCII.fullmatch(raw) or _PEM.fullmatch(raw)):
        raise PydanticCustomError(
            "secret_alphabet",
            "Letters, digits and signs only: no spaces or accents, line breaks only in a PEM key",
        )
    return value


def _passphrase(value: SecretStr) -> SecretStr:
    if not _ASCII_WITH_SPACES.fullmatch(value.get_secret_value()):
        raise PydanticCustomError(
            "passphrase_alphabet", "Plain letters, digits, signs and inner spaces only"
        )
    return value


def _label(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("label_alphabet", "Printable characters only")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError(
            "moment_range", "A time between the years 1 and 9999 in UTC"
        ) from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with its zone, in UTC: at the ends of the calendar not every one is."""
ExchangeName = Annotated[str, Field(min_length=1, max_length=EXCHANGE_NAME_LENGTH_MAX)]
ApiKey = Annotated[str, Field(min_length=1, max_length=API_KEY_LENGTH_MAX), AfterValidator(_key)]
ApiSecret = Annotated[
    SecretStr, Field(min_length=1, max_length=API_SECRET_LENGTH_MAX), AfterValidator(_secret)
]
Passphrase = Annotated[
    SecretStr, Field(min_length=1, max_length=PASSPHRASE_LENGTH_MAX), AfterValidator(_passphrase)
]
Label = Annotated[str, Field(min_length=1, max_length=LABEL_LENGTH_MAX), AfterValidator(_label)]
