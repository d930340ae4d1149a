"""Who is asking."""

from dataclasses import dataclass
from uuid import UUID

from backend.app.enums import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in person, as the routes see one. The services are handed `user_id` as the owner."""

    user_id: int
    username: str
    role: Role
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Client:
    """The program that asks: where from, and what it shows besides its token."""

    address: str
    user_agent: str
    device_cookie: str | None = None
