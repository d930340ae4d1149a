"""An announcer for where nobody listens."""

from collections.abc import Sequence

from backend.app.channel_message import Message


class SilentAnnouncer:
    """Tells nobody: listeners find what was committed in the database."""

    async def announce(self, messages: Sequence[Message]) -> None:
        """Leave messages where they are."""
