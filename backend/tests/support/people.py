"""People for tests: entered and signed in without the cost of hashing a password."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.audit_record import Actor, ActorType, Caller
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.models.user import User
from backend.app.repositories.auth_session_repository import AuthSessionRepository, LiveSession
from backend.app.repositories.user_repository import UserRepository
from backend.app.services.token_service import TokenService

PASSWORD = "seven grey herons over the lock"


@dataclass(frozen=True)
class Person:
    """Somebody signed in, and the header that says so."""

    user_id: int
    username: str
    session_id: UUID
    headers: dict[str, str]

    @property
    def caller(self) -> Caller:
        """Who asks, as the audit trail will say it."""
        return Caller(Actor(ActorType.USER, self.user_id, session=str(self.session_id)))


async def person(services: Container, username: str, role: Role = Role.USER) -> Person:
    """Enter somebody and begin a session, beneath the routes."""
    now, session_id = services.clock(), uuid4()
    async with services.database.transaction() as session:
        user = await UserRepository(session).add(
            User(
                username=username,
                email=f"{username}@example.com",
                hashed_password="no password matches this",
                role=role.value,
            )
        )
        live = LiveSession(session_id, user.id, username, role, now + timedelta(days=90))
        await AuthSessionRepository(session).begin(live, auth_version=1, at=now)
    token = TokenService(services.settings.auth, services.clock).issue(user.id, session_id, role)
    return Person(user.id, username, session_id, bearer(token.get_secret_value()))


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries an access token."""
    return {"Authorization": f"Bearer {token}"}


async def registered(client: AsyncClient, username: str) -> dict[str, Any]:
    """Register somebody through the door."""
    answer = await client.post(
        "/api/v1/auth/register",
        json={"username": username, "email": f"{username}@example.com", "password": PASSWORD},
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def signed_in(client: AsyncClient, username: str, password: str = PASSWORD) -> dict[str, Any]:
    """Sign somebody in through the door and return the tokens."""
    answer = await client.post(
        "/api/v1/auth/token", json={"username": username, "password": password}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def audited(services: Container) -> list[str]:
    """Return the payloads of the audit trail, oldest first."""
    async with services.database.snapshot() as session:
        found = await session.execute(text("SELECT payload FROM audit_events ORDER BY seq"))
        return [bytes(row.payload).decode() for row in found]
