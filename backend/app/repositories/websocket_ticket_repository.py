"""SQL for the tickets that open one WebSocket each. None commits."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.errors import Unauthenticated
from backend.app.models.auth_session import AuthSession
from backend.app.models.user import User
from backend.app.models.websocket_ticket import WebsocketTicket


class WebsocketTicketRepository:
    """Tickets by their hash."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def hold_session(self, owner_id: int, session_id: UUID) -> None:
        """Let nobody count this user's tickets, or delete this session, until the block ends.

        Raises:
            Unauthenticated: the session was deleted a moment ago.
        """
        await self._session.execute(
            select(User.id).where(User.id == owner_id).with_for_update(key_share=True)
        )
        held = await self._session.scalar(
            select(AuthSession.id)
            .where(AuthSession.user_id == owner_id, AuthSession.id == session_id)
            .with_for_update(read=True, key_share=True)
        )
        if held is None:
            raise Unauthenticated("This session has ended. Sign in again.")

    async def count(self, owner_id: int, at: datetime) -> int:
        """Return how many tickets of this user could still be used."""
        counted = await self._session.scalar(
            select(func.count())
            .select_from(WebsocketTicket)
            .join(AuthSession, AuthSession.id == WebsocketTicket.session_id)
            .where(AuthSession.user_id == owner_id, WebsocketTicket.expires_at > at)
        )
        return int(counted or 0)

    async def add(self, ticket_hash: bytes, session_id: UUID, until: datetime) -> None:
        """Write a ticket of a session that is held."""
        self._session.add(
            WebsocketTicket(ticket_hash=ticket_hash, session_id=session_id, expires_at=until)
        )
        await self._session.flush()

    async def take(self, ticket_hash: bytes, at: datetime) -> UUID | None:
        """Use a ticket up, and return its session if it had not expired."""
        taken = await self._session.execute(
            delete(WebsocketTicket)
            .where(WebsocketTicket.ticket_hash == ticket_hash)
            .returning(WebsocketTicket.session_id, WebsocketTicket.expires_at)
        )
        row = taken.one_or_none()
        return row.session_id if row is not None and row.expires_at > at else None

    async def delete_expired(self, before: datetime, rows_max: int) -> int:
        """Delete tickets that nobody used in time, a bounded number at a time."""
        expired = (
            select(WebsocketTicket.ticket_hash)
            .where(WebsocketTicket.expires_at < before)
            .limit(rows_max)
        )
        gone = await self._session.execute(
            delete(WebsocketTicket)
            .where(WebsocketTicket.ticket_hash.in_(expired))
            .returning(WebsocketTicket.session_id)
            .execution_options(synchronize_session=False)
        )
        return len(gone.all())
