"""Tickets: what opens one WebSocket, once, soon. Only their hashes are stored."""

from datetime import timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from pydantic import SecretStr

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import TooManyTickets
from backend.app.ids import new_token
from backend.app.repositories.auth_session_repository import AuthSessionRepository, LiveSession
from backend.app.repositories.websocket_ticket_repository import WebsocketTicketRepository

TICKET_LASTS: Final = timedelta(seconds=30)
TICKETS_PER_USER_MAX: Final = 20


class Tickets:
    """Hands tickets out and takes them back."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def issue(self, user_id: int, session_id: UUID) -> SecretStr:
        """Return a ticket that stands for this session.

        Raises:
            TooManyTickets: as many wait to be used as one user may have.
            Unauthenticated: the session ended a moment ago.
        """
        ticket, now = new_token(), self._now()
        async with self._database.transaction() as session:
            tickets = WebsocketTicketRepository(session)
            await tickets.hold_session(user_id, session_id)
            if await tickets.count(user_id, now) >= TICKETS_PER_USER_MAX:
                raise TooManyTickets(retry_after_seconds=int(TICKET_LASTS.total_seconds()))
            await tickets.add(_hash(ticket), session_id, now + TICKET_LASTS)
        return SecretStr(ticket)

    async def redeem(self, ticket: SecretStr) -> LiveSession | None:
        """Use a ticket up and return the session it stands for, if both still count."""
        now = self._now()
        async with self._database.transaction() as session:
            session_id = await WebsocketTicketRepository(session).take(
                _hash(ticket.get_secret_value()), now
            )
            if session_id is None:
                return None
            live = await AuthSessionRepository(session).find_live([session_id], now)
            return live.get(session_id)


def _hash(ticket: str) -> bytes:
    return sha256(ticket.encode()).digest()
