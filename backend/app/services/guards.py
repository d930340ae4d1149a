"""Everything in this process that remembers who may pass, and is told of changes at once."""

from dataclasses import dataclass
from uuid import UUID

from backend.app.services.api_key_guard import ApiKeyGuard
from backend.app.services.session_guard import SessionGuard


@dataclass(frozen=True, slots=True)
class Guards:
    """The guard of sessions and the guard of platform keys."""

    sessions: SessionGuard
    keys: ApiKeyGuard

    def forget_session(self, session_id: UUID) -> None:
        """Look this session up again before it passes next."""
        self.sessions.forget_session(session_id)

    def forget_key(self, key_id: str) -> None:
        """Look this key up again before it passes next."""
        self.keys.forget_key(key_id)

    def forget_user(self, user_id: int) -> None:
        """Look every session and key of this user up again before it passes next."""
        self.sessions.forget_user(user_id)
        self.keys.forget_user(user_id)

    def forget_everything(self) -> None:
        """Look everybody up again: notices may have been missed."""
        self.sessions.forget_everything()
        self.keys.forget_everything()
