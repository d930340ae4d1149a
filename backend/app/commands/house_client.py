"""A house over HTTP, as a program of its user asks it."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from backend.app.errors import ConfigurationError

ANSWER_SECONDS_MAX: Final = 15
_UNAUTHENTICATED: Final = 401
_TOO_MANY: Final = 429
_REFUSED: Final = 400
_AWAY: Final = 500


class HouseAway(Exception):
    """No answer, or none that says what became of the question: ask again later."""


class HouseRefused(ConfigurationError):
    """The house answers, and says no."""


@dataclass(frozen=True)
class Login:
    """Who asks: a platform key, or a user of this run's own."""

    key: str | None = field(default=None, repr=False)
    person: Mapping[str, str] | None = field(default=None, repr=False)

    @classmethod
    def new_user(cls, kind: str) -> "Login":
        """Return somebody to be registered, whose password nobody keeps."""
        name = f"{kind}-{secrets.token_hex(4)}"
        return cls(person={"username": name, "password": secrets.token_urlsafe(24)})


class HouseClient:
    """Asks one house as one user."""

    def __init__(self, session: aiohttp.ClientSession, url: str, login: Login) -> None:
        self._session = session
        self._api = f"{url.rstrip('/')}/api/v1"
        self._login = login
        self._headers = {} if login.key is None else {"X-SR-Key": login.key}

    async def enter(self) -> None:
        """Register the user of this run, if that is who asks.

        Raises:
            HouseAway, HouseRefused: nobody was registered.
        """
        if self._login.person is not None:
            email = f"{self._login.person['username']}@example.com"
            await self.ask("POST", "/auth/register", {**self._login.person, "email": email})
            await self._sign_in()

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Ask, and return the JSON of the answer.

        Raises:
            HouseAway: there was no answer, or the house cannot answer now.
            HouseRefused: it says no; the text says why.
        """
        status, told = await self._send(method, path, body, headers)
        if status == _UNAUTHENTICATED and self._login.person is not None:
            # The session ends after an hour.
            await self._sign_in()
            status, told = await self._send(method, path, body, headers)
        if status >= _AWAY or status == _TOO_MANY:
            raise HouseAway
        if status >= _REFUSED:
            raise HouseRefused(_refusal(told, status))
        return told

    async def _sign_in(self) -> None:
        status, tokens = await self._send("POST", "/auth/token", self._login.person, None)
        if status >= _AWAY or status == _TOO_MANY:
            raise HouseAway
        if status >= _REFUSED:
            raise HouseRefused(_refusal(tokens, status))
        self._headers = {"Authorization": f"Bearer {tokens['access']}"}

    async def _send(
        self, method: str, path: str, body: object, headers: Mapping[str, str] | None
    ) -> tuple[int, Any]:
        try:
            async with self._session.request(
                method, self._api + path, json=body, headers={**self._headers, **(headers or {})}
            ) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
            # What it was says nothing to whoever reads this, and may name what was sent.
            raise HouseAway from None


def house_session() -> aiohttp.ClientSession:
    """Return a session whose answers are waited for no longer than they are worth."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX))


def _refusal(told: Any, status: int) -> str:
    detail = told.get("detail") if isinstance(told, dict) else None
    return f"The house refuses: {detail or status}"
