"""What goes out to listeners, as the bytes of whole WebSocket frames, made once for all of them."""

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from websockets.frames import Frame, Opcode

from backend.app.channel_message import (
    ADMINISTRATORS_NOTIFICATIONS,
    NOTIFICATIONS,
    ORDERS,
    Message,
)


class CloseCode(IntEnum):
    """Why the house closes a socket. Below 4000 they are those of RFC 6455 and its registry."""

    UNSUPPORTED_DATA = 1003
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    MALFORMED_FRAMES = 4400
    LOGIN_NEEDED = 4401
    TICKET_REFUSED = 4403
    TOO_SLOW = 4408
    RESUME = 4409
    SESSION_ENDED = 4410
    TOO_MANY_FRAMES = 4429
    TOO_MANY_CONNECTIONS = 4430

    @property
    def reason(self) -> str:
        """The code as a word, which stands in the close frame."""
        return self.name.lower().replace("_", "-")


_PRIVATE: Final = frozenset((NOTIFICATIONS, ORDERS))


def public_name(channel: str) -> str:
    """Return a channel's name as its listeners know it: nobody is told whose it is."""
    kind = channel.partition(":")[0]
    is_ones_own = kind in _PRIVATE and channel != ADMINISTRATORS_NOTIFICATIONS
    return kind if is_ones_own else channel


def text_frame(members: Mapping[str, Any]) -> bytes:
    """Return one frame of JSON, unmasked, as a server sends it."""
    text = json.dumps(members, separators=(",", ":"), ensure_ascii=False)
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def message_frame(message: Message) -> bytes:
    """Return the frame that carries a message."""
    return text_frame(
        {
            "type": "message",
            "channel": public_name(message.channel),
            "seq": message.seq,
            "data": message.body,
        }
    )
