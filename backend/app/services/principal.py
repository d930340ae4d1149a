"""Who is asking."""

from dataclasses import dataclass
from uuid import UUID

from backend.app.audit_record import Actor, ActorType, Caller
from backend.app.enums import KeyScope, Role
from backend.app.errors import SessionNeeded


@dataclass(frozen=True, slots=True)
class Principal:
    """A person in one request, signed in or through a platform key of theirs.

    The services are handed `user_id` as the owner. `scopes` are those of the key; somebody in a
    session has none and needs none.
    """

    user_id: int
    username: str
    role: Role
    session_id: UUID | None
    request_id: str | None = None
    address: str | None = None
    key_prefix: str | None = None
    scopes: frozenset[KeyScope] = frozenset()

    @property
    def session(self) -> UUID:
        """Return the session that asks.

        Raises:
            SessionNeeded: a platform key asks.
        """
        if self.session_id is None:
            raise SessionNeeded
        return self.session_id

    @property
    def caller(self) -> Caller:
        """Return who asks, as the audit trail writes it."""
        session = None if self.session_id is None else str(self.session_id)
        actor = Actor(ActorType.USER, self.user_id, session, self.key_prefix)
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
