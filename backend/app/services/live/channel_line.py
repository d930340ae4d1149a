"""One channel as one process tells it: every message once, in its order, none left out.

Nothing here waits, reads a clock or asks the database: what must hold of the numbers can be
proved of this module alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from backend.app.channel_message import Message
from backend.app.services.live.frames import CloseCode, message_frame

# What a listener may miss while its past is being read, before it counts as too slow.
HELD_MESSAGES_MAX: Final = 1_000


class Listener(Protocol):
    """Somebody who is told. Neither waits nor raises."""

    def tell(self, frames: bytes) -> None:
        """Take one or several whole frames, in this order."""
        ...

    def close(self, code: CloseCode) -> None:
        """Be told no more, for this reason."""
        ...


@dataclass(slots=True)
class _Joining:
    """A listener whose past is being read (`seen` is None), or who has seen more than was told."""

    seen: int | None = None
    held: list[Message] = field(default_factory=list)


class ChannelLine:
    """The listeners of a channel in this process, and how far they have been told."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        # The last number told here; None until the channel's head was read.
        self.seq: int | None = None
        self._began_after = 0
        # Something was announced that does not continue what was told: the database has the rest.
        self.is_behind = False
        self._steady: dict[Listener, None] = {}
        self._joining: dict[Listener, _Joining] = {}

    @property
    def is_deserted(self) -> bool:
        """Tell whether nobody listens."""
        return not self._steady and not self._joining

    @property
    def listeners(self) -> list[Listener]:
        """Everybody who listens or is about to."""
        return [*self._steady, *self._joining]

    def open(self, head: int) -> bool:
        """Begin to tell after a number that was read, unless we have begun already.

        False: somebody else has read more and we began after that, so whoever read up to `head`
        alone is never told what lies between, and has to read again.
        """
        if self.seq is None:
            self.seq = self._began_after = head
        return head >= self._began_after

    def accept(self, messages: Sequence[Message]) -> None:
        """Tell what continues, pass over what was told, and notice what does not continue."""
        fresh: list[Message] = []
        for message in messages:
            if self.seq is None or message.seq > self.seq + 1:
                self.is_behind = True
                break
            if message.seq == self.seq + 1:
                self.seq = message.seq
                fresh.append(message)
        if fresh:
            self._tell(fresh)

    def hear(self, seq: int) -> None:
        """Notice that there are messages up to this number."""
        if self.seq is None or seq > self.seq:
            self.is_behind = True

    def join(self, listener: Listener) -> None:
        """Hold back for a listener what is told from now on, until `finish`."""
        self._joining[listener] = _Joining()

    def finish(self, listener: Listener, seen: int) -> None:
        """Tell a listener what was held back and follows what it has seen, and go on from there."""
        joining = self._joining.get(listener)
        if joining is None:
            return
        held, joining.held, joining.seen = joining.held, [], seen
        self._tell_unseen(listener, joining, held)

    def leave(self, listener: Listener) -> None:
        """Tell a listener no more."""
        self._steady.pop(listener, None)
        self._joining.pop(listener, None)

    def _tell(self, messages: Sequence[Message]) -> None:
        frames = b"".join(map(message_frame, messages))
        for listener in self._steady:
            listener.tell(frames)
        for listener, joining in list(self._joining.items()):
            if joining.seen is not None:
                self._tell_unseen(listener, joining, messages)
            elif len(joining.held) + len(messages) > HELD_MESSAGES_MAX:
                listener.close(CloseCode.TOO_SLOW)
            else:
                joining.held.extend(messages)

    def _tell_unseen(
        self, listener: Listener, joining: _Joining, messages: Sequence[Message]
    ) -> None:
        seen = joining.seen or 0
        unseen = [message for message in messages if message.seq > seen]
        if unseen:
            listener.tell(b"".join(map(message_frame, unseen)))
        # Who came from a process that was told more waits until we are as far.
        if self.seq is not None and self.seq >= seen:
            del self._joining[listener]
            self._steady[listener] = None
