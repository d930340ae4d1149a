"""One signed-in connection: what it asks is answered in the order it asked."""

from typing import Any, Final

from backend.app.errors import (
    AlreadySubscribed,
    FrameMalformed,
    NotSubscribed,
    StrongroomError,
    TooManySubscriptions,
)
from backend.app.repositories.auth_session_repository import LiveSession
from backend.app.schemas.live_schemas import AskedFrame, FrameId, Ping, Subscribe, Unsubscribe
from backend.app.services.live.asked_frame import FrameAllowance, read_frame
from backend.app.services.live.channel_names import ChannelNames
from backend.app.services.live.frames import CloseCode, message_frame, public_name, text_frame
from backend.app.services.live.live_hub import Joined, LiveHub
from backend.app.services.live.outbox import Outbox

SUBSCRIPTIONS_MAX: Final = 50
MALFORMED_FRAMES_MAX: Final = 10


class LiveConnection:
    """The subscriptions of one connection."""

    def __init__(
        self, session: LiveSession, outbox: Outbox, hub: LiveHub, names: ChannelNames
    ) -> None:
        self._session = session
        self._outbox = outbox
        self._hub = hub
        self._names = names
        self._allowance = FrameAllowance()
        self._malformed = 0
        self._channels: set[str] = set()

    async def take(self, text: str) -> None:
        """Answer one frame; whatever is wrong with it is an answer too."""
        if not self._allowance.take():
            self._outbox.close(CloseCode.TOO_MANY_FRAMES)
            return
        asked_id: FrameId | None = None
        try:
            asked = read_frame(text)
            asked_id = asked.id
            await self._answer(asked)
        except FrameMalformed as refusal:
            self._say(refusal_members(refusal), asked_id)
            self._malformed += 1
            if self._malformed >= MALFORMED_FRAMES_MAX:
                self._outbox.close(CloseCode.MALFORMED_FRAMES)
        except StrongroomError as refusal:
            self._say(refusal_members(refusal), asked_id)

    def leave(self) -> None:
        """Listen to nothing any more."""
        for channel in self._channels:
            self._hub.leave(self._outbox, channel)
        self._channels.clear()

    async def _answer(self, asked: AskedFrame) -> None:
        if isinstance(asked, Subscribe):
            await self._subscribe(asked)
        elif isinstance(asked, Unsubscribe):
            await self._unsubscribe(asked)
        elif isinstance(asked, Ping):
            self._say({"type": "pong"}, asked.id)
        else:
            raise FrameMalformed("This connection is logged in already.")

    async def _subscribe(self, asked: Subscribe) -> None:
        channel = await self._resolve(asked.channel)
        if channel in self._channels:
            raise AlreadySubscribed
        if len(self._channels) >= SUBSCRIPTIONS_MAX:
            raise TooManySubscriptions
        joined = await self._hub.subscribe(self._outbox, channel, asked.after)
        # From here on nothing waits, so nobody can be told anything in between.
        self._channels.add(channel)
        begun = {"type": "subscribed", "channel": public_name(channel), "seq": joined.seq}
        self._say(begun, asked.id)
        self._tell_past(public_name(channel), joined)
        self._hub.begin(self._outbox, channel, joined.seq)

    async def _resolve(self, named: str) -> str:
        # Whoever is given another role is signed out, so the one of the login still stands.
        return await self._names.resolve(named, self._session.user_id, self._session.role)

    def _tell_past(self, name: str, joined: Joined) -> None:
        if joined.reset is not None:
            reason = joined.reset.value
            self._say({"type": "reset", "channel": name, "seq": joined.seq, "reason": reason})
        if joined.snapshot is not None:
            state = {"channel": name, "seq": joined.seq, "data": joined.snapshot}
            self._say({"type": "snapshot", **state})
        for message in joined.replay:
            self._outbox.tell(message_frame(message))

    async def _unsubscribe(self, asked: Unsubscribe) -> None:
        channel = await self._resolve(asked.channel)
        if channel not in self._channels:
            raise NotSubscribed
        self._channels.remove(channel)
        self._hub.leave(self._outbox, channel)
        self._say({"type": "unsubscribed", "channel": public_name(channel)}, asked.id)

    def _say(self, members: dict[str, Any], asked_id: FrameId | None = None) -> None:
        self._outbox.tell(text_frame(members if asked_id is None else {**members, "id": asked_id}))


def refusal_members(refusal: StrongroomError) -> dict[str, Any]:
    """Return a refusal as the members of an error frame, with the codes of every other door."""
    members = {**refusal.facts, "type": "error", "code": refusal.slug, "detail": refusal.detail}
    if refusal.retry_after_seconds is not None:
        members["retry_after_seconds"] = refusal.retry_after_seconds
    return members
