"""The door of the settlement: one token, or two while one replaces the other."""

import hmac
import re
from typing import Final

from pydantic import SecretStr

from backend.app.errors import ConfigurationError, InternalKeyRefused, Unauthenticated

TOKENS_MAX: Final = 2
TOKEN_LENGTH_MIN: Final = 32
TOKEN_HEADER: Final = "X-Internal-Token"  # noqa: S105 - the name of a header
_VISIBLE_ASCII: Final = re.compile(r"[!-+\--~]+")


def settlement_tokens(setting: SecretStr | None) -> tuple[bytes, ...]:
    """Return the tokens of `SETTLEMENT_TOKEN`; the first is the one to show.

    Raises:
        ConfigurationError: there is none, or one that cannot be used.
    """
    written = "" if setting is None else setting.get_secret_value()
    tokens = [token.strip() for token in written.split(",") if token.strip()]
    usable = all(
        len(token) >= TOKEN_LENGTH_MIN and _VISIBLE_ASCII.fullmatch(token) for token in tokens
    )
    if not 1 <= len(tokens) <= TOKENS_MAX or not usable:
        raise ConfigurationError(
            f"SETTLEMENT_TOKEN: expected one token of at least {TOKEN_LENGTH_MIN} visible "
            "characters, or two with a comma between while one replaces the other. "
            "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return tuple(token.encode("ascii") for token in tokens)


class TokenDoor:
    """Opens to whoever shows one of the tokens."""

    def __init__(self, tokens: tuple[bytes, ...]) -> None:
        self._tokens = tokens

    def admit(self, presented: str | None) -> None:
        """Return if the token is a right one, after the same time for each wrong one.

        Raises:
            Unauthenticated: none was shown.
            InternalKeyRefused: it is another one.
        """
        if presented is None:
            raise Unauthenticated(f"This door needs {TOKEN_HEADER}.")
        # All are compared, so that the time does not tell which one was near.
        matches = [hmac.compare_digest(presented.encode(), token) for token in self._tokens]
        if not any(matches):
            raise InternalKeyRefused("This is not the token.")
