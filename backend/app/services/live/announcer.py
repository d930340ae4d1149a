"""How a use case tells listeners of what it has committed."""

from collections.abc import Sequence
from typing import Protocol

from backend.app.channel_message import Message


class Announcer(Protocol):
    """Whoever brings committed messages to those who listen."""

    async def announce(self, messages: Sequence[Message]) -> None:
        """Deliver messages *after* their commit, in the order of each channel. Never raises.

        It only hastens: what is not announced is found in the database a moment later.
        """
        ...
