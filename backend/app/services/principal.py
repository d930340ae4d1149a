"""Who is asking."""

from dataclasses import dataclass
from uuid import UUID

from backend.app.audit_record import Actor, ActorType, Caller
from backend.app.enums import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in person in one request. The services are handed `user_id` as the owner."""

    user_id: int
    username: str
    role: Role
    session_id: UUID
    request_id: str | None = None
    address: str | None = None

    @property
    def caller(self) -> Caller:
        """Return who asks, as the audit trail writes it."""
        actor = Actor(ActorType.USER, self.user_id, session=str(self.session_id))
        return Caller(actor, self.request_id, self.address)


@dataclass(frozen=True, slots=True)
class Client:
    """The program that asks before anybody has signed in, and what it shows of itself."""

    address: str
    user_agent: str
    device_cookie: str | None = None
    request_id: str | None = None

    @property
    def caller(self) -> Caller:
        """Return who asks, as the audit trail writes it: nobody known."""
        return Caller(Actor(ActorType.ANONYMOUS), self.request_id, self.address)
