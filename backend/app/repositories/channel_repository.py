"""SQL for live channels: messages are numbered in the transaction of what they tell."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    String,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.channel_message import Message
from backend.app.models.channel import ChannelHead, ChannelMessage

TRIMMED_AT_ONCE_MAX: Final = 1_000

# Two arrays, so that the statement is the same for one channel and for thousands: a list of values
# would be compiled anew for each length, which cost more than the rest of publishing.
_COUNT: Final = text("""
INSERT INTO channel_heads AS head (channel, seq)
SELECT * FROM unnest(CAST(:channels AS text[]), CAST(:counts AS bigint[]))
ON CONFLICT (channel) DO UPDATE SET seq = head.seq + excluded.seq
RETURNING channel, seq
""")


class ChannelRepository:
    """The messages of all channels, the latest of them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def publish(self, channel: str, bodies: Sequence[Mapping[str, Any]]) -> list[Message]:
        """Write messages under the channel's next numbers.

        The channel is locked until the transaction ends. Whoever publishes on several in one
        transaction does so in the order of their names, or two of them wait for each other.
        """
        return await self.publish_all({channel: bodies})

    async def publish_all(self, told: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Message]:
        """Write messages on many channels at once, which are locked in the order of their names."""
        counts = {channel: len(bodies) for channel, bodies in sorted(told.items()) if bodies}
        if not counts:
            return []
        last = await self._count(counts)
        messages = [
            Message(channel, seq, body)
            for channel in counts
            for seq, body in enumerate(told[channel], start=last[channel] - counts[channel] + 1)
        ]
        rows = [{"channel": each.channel, "seq": each.seq, "body": each.body} for each in messages]
        await self._session.execute(insert(ChannelMessage), rows)
        return messages

    async def heads(self, channels: Collection[str]) -> dict[str, int]:
        """Return the number of each channel's last message, 0 where there never was one."""
        found = await self._session.execute(
            select(ChannelHead.channel, ChannelHead.seq).where(ChannelHead.channel.in_(channels))
        )
        return dict.fromkeys(channels, 0) | {head.channel: head.seq for head in found}

    async def after(self, seen: Mapping[str, int], rows_max: int) -> list[Message]:
        """Return what followed the numbers seen of some channels, each in its order."""
        if not seen:
            return []
        # Two arrays, so that the statement is the same for one channel and for thousands.
        wanted = (
            func.unnest(
                literal(list(seen), ARRAY(String)),
                literal(list(seen.values()), ARRAY(BigInteger)),
            )
            .table_valued(column("channel", String), column("seq", BigInteger))
            .render_derived(name="seen")
        )
        found = await self._session.execute(
            select(ChannelMessage.channel, ChannelMessage.seq, ChannelMessage.body)
            .join(
                wanted,
                (ChannelMessage.channel == wanted.c.channel) & (ChannelMessage.seq > wanted.c.seq),
            )
            .order_by(ChannelMessage.channel, ChannelMessage.seq)
            .limit(rows_max)
        )
        return [Message(channel, seq, body) for channel, seq, body in found]

    async def trim(self, before: datetime) -> int:
        """Delete a bounded number of messages from before a moment; return how many."""
        old = (
            select(ChannelMessage.channel, ChannelMessage.seq)
            .where(ChannelMessage.created_at < before)
            .order_by(ChannelMessage.created_at)
            .limit(TRIMMED_AT_ONCE_MAX)
            .with_for_update(skip_locked=True)
            .cte("old")
        )
        gone = await self._session.execute(
            delete(ChannelMessage)
            .where(ChannelMessage.channel == old.c.channel, ChannelMessage.seq == old.c.seq)
            .returning(ChannelMessage.seq)
            .execution_options(synchronize_session=False)
        )
        return len(gone.all())

    async def _count(self, counts: Mapping[str, int]) -> dict[str, int]:
        asked = {"channels": list(counts), "counts": list(counts.values())}
        found = await self._session.execute(_COUNT, asked)
        return {row.channel: row.seq for row in found}
