"""The live channel: who may come in, how many, and when they have to go."""

import asyncio
from collections import Counter
from typing import Final, Protocol

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import DatabaseUnavailable, FrameMalformed
from backend.app.repositories.auth_session_repository import AuthSessionRepository, LiveSession
from backend.app.schemas.live_schemas import Login, Ticket
from backend.app.services.live.asked_frame import read_frame
from backend.app.services.live.channel_names import ChannelNames
from backend.app.services.live.frames import CloseCode, text_frame
from backend.app.services.live.live_connection import LiveConnection
from backend.app.services.live.live_hub import LiveHub
from backend.app.services.live.outbox import Outbox
from backend.app.services.live.tickets import TICKET_LASTS, Tickets
from backend.app.services.live.wire import Wire
from backend.app.services.principal import Principal

LOGIN_SECONDS_MAX: Final = 5.0
CONNECTIONS_MAX: Final = 4_000
CONNECTIONS_PER_USER_MAX: Final = 10
# So many may be about to log in: whoever only knocks does not take the place of those inside.
LOGINS_WAITING_MAX: Final = 1_000


class Peer(Protocol):
    """Somebody at the other end of an accepted WebSocket."""

    @property
    def wire(self) -> Wire:
        """The way to them."""
        ...

    async def receive(self) -> str | bytes | None:
        """Return their next frame, None when they are gone."""
        ...


class LiveService:
    """Every WebSocket of this process."""

    def __init__(
        self,
        *,
        database: Database,
        hub: LiveHub,
        names: ChannelNames,
        now: Clock,
        login_seconds_max: float = LOGIN_SECONDS_MAX,
    ) -> None:
        self._database = database
        self._hub = hub
        self._names = names
        self._now = now
        self._login_seconds_max = login_seconds_max
        self._tickets = Tickets(database, now)
        self._knocking: set[Outbox] = set()
        self._signed_in: dict[Outbox, LiveSession] = {}
        self._per_user: Counter[int] = Counter()
        self._is_draining = False

    @property
    def connections(self) -> int:
        """How many are signed in."""
        return len(self._signed_in)

    async def issue_ticket(self, principal: Principal) -> Ticket:
        """Return what opens one WebSocket for this session.

        Raises:
            TooManyTickets: as many wait to be used as one user may have.
            SessionNeeded: a platform key asks.
        """
        ticket = await self._tickets.issue(principal.user_id, principal.session)
        return Ticket(
            ticket=ticket.get_secret_value(), expires_in=int(TICKET_LASTS.total_seconds())
        )

    async def serve(self, peer: Peer) -> None:
        """Stay with one accepted WebSocket until it ends."""
        outbox = Outbox(peer.wire)
        if (full := self._reason_to_refuse()) is not None:
            outbox.close(full)
        elif (live := await self._at_the_door(peer, outbox)) is not None:
            await self._converse(peer, outbox, live)
        # Whoever ended it, the last thing that comes in says so, and with which code.
        while await peer.receive() is not None:
            pass

    async def close_ended(self) -> None:
        """Close every WebSocket whose session has ended, whoever ended it.

        Raises:
            DatabaseUnavailable: nobody can be asked now, and nothing is told meanwhile either.
        """
        asked = {live.session_id for live in self._signed_in.values()}
        if not asked:
            return
        async with self._database.snapshot() as session:
            ended = asked - await AuthSessionRepository(session).live_among(asked, self._now())
        for outbox, live in list(self._signed_in.items()):
            if live.session_id in ended:
                outbox.close(CloseCode.SESSION_ENDED)

    def drain(self) -> None:
        """Send everybody elsewhere: this process ends."""
        self._is_draining = True
        for outbox in [*self._knocking, *self._signed_in]:
            outbox.close(CloseCode.SERVICE_RESTART)

    def _reason_to_refuse(self) -> CloseCode | None:
        if self._is_draining:
            return CloseCode.SERVICE_RESTART
        knocking = len(self._knocking)
        if knocking >= LOGINS_WAITING_MAX or knocking + len(self._signed_in) >= CONNECTIONS_MAX:
            return CloseCode.TRY_AGAIN_LATER
        return None

    async def _at_the_door(self, peer: Peer, outbox: Outbox) -> LiveSession | None:
        self._knocking.add(outbox)
        try:
            return await self._admit(peer, outbox)
        finally:
            self._knocking.discard(outbox)

    async def _admit(self, peer: Peer, outbox: Outbox) -> LiveSession | None:
        login = await self._login(peer)
        if login is None:
            outbox.close(CloseCode.LOGIN_NEEDED)
            return None
        try:
            live = await self._tickets.redeem(login.ticket)
        except DatabaseUnavailable:
            outbox.close(CloseCode.TRY_AGAIN_LATER)
            return None
        if live is None:
            outbox.close(CloseCode.TICKET_REFUSED)
        elif self._per_user[live.user_id] >= CONNECTIONS_PER_USER_MAX:
            outbox.close(CloseCode.TOO_MANY_CONNECTIONS)
        else:
            answer = {"type": "logged_in"} | ({} if login.id is None else {"id": login.id})
            outbox.tell(text_frame(answer))
            return live
        return None

    async def _login(self, peer: Peer) -> Login | None:
        try:
            async with asyncio.timeout(self._login_seconds_max):
                frame = await peer.receive()
            asked = read_frame(frame) if isinstance(frame, str) else None
        except (TimeoutError, FrameMalformed):
            return None
        return asked if isinstance(asked, Login) else None

    async def _converse(self, peer: Peer, outbox: Outbox, live: LiveSession) -> None:
        connection = LiveConnection(live, outbox, self._hub, self._names)
        self._signed_in[outbox] = live
        self._per_user[live.user_id] += 1
        try:
            while not outbox.is_closed and (frame := await peer.receive()) is not None:
                if isinstance(frame, bytes):
                    outbox.close(CloseCode.UNSUPPORTED_DATA)
                else:
                    await connection.take(frame)
        finally:
            connection.leave()
            del self._signed_in[outbox]
            self._per_user[live.user_id] -= 1
            if not self._per_user[live.user_id]:
                del self._per_user[live.user_id]
