"""Brings committed messages to the listeners of this process, and to the other processes.

PostgreSQL is the truth: it numbers the messages of a channel without gaps. What is announced only
hastens. Whatever does not continue what was told is read from there; what nobody announced is
found there a moment later.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, Protocol

from backend.app.channel_message import Message
from backend.app.database import Database
from backend.app.errors import DatabaseUnavailable
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.services.live.channel_line import ChannelLine, Listener
from backend.app.services.live.frames import CloseCode

# Further behind than this a listener begins anew.
REPLAY_MESSAGES_MAX: Final = 500
CAUGHT_UP_ROWS_MAX: Final = 2_000
# When a thousand come back at once, requests still find a connection to the database.
READS_AT_ONCE_MAX: Final = 4


class SnapshotSource(Protocol):
    """Knows the present state of a channel, for whoever begins to listen."""

    async def snapshot(self) -> Mapping[str, Any]:
        """Return what the messages up to now amount to, as JSON."""
        ...


class Fanout(Protocol):
    """Tells the other processes, and hears them."""

    def start(self, hear: Callable[[Mapping[str, int]], None]) -> None:
        """Begin, and tell `hear` of channels that have messages up to some numbers."""
        ...

    async def stop(self) -> None:
        """Fall silent."""
        ...

    def publish(self, heads: Mapping[str, int]) -> None:
        """Say that channels have messages up to these numbers. Neither waits nor raises."""
        ...


class ResetReason(StrEnum):
    """Why a listener cannot go on where it was."""

    TRIMMED = "trimmed"
    TOO_FAR = "too-far"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Joined:
    """Where a listener begins, and what it has to be told first."""

    seq: int
    replay: Sequence[Message] = ()
    reset: ResetReason | None = None
    snapshot: Mapping[str, Any] | None = None


class LiveHub:
    """The channels somebody in this process listens to. An `Announcer`."""

    def __init__(self, database: Database, fanout: Fanout | None = None) -> None:
        self._database = database
        self._fanout = fanout
        self._snapshots: dict[str, SnapshotSource] = {}
        self._snapshots_of_kinds: dict[str, Callable[[str], SnapshotSource]] = {}
        self._lines: dict[str, ChannelLine] = {}
        self._reads = asyncio.Semaphore(READS_AT_ONCE_MAX)
        self._looks: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(READS_AT_ONCE_MAX)
        )
        self._catching_up: asyncio.Task[None] | None = None

    @property
    def channels(self) -> list[str]:
        """What somebody here listens to."""
        return list(self._lines)

    def offer_snapshot(self, channel: str, source: SnapshotSource) -> None:
        """Let whoever begins to listen to a channel know its present state."""
        self._snapshots[channel] = source

    def offer_snapshots(self, kind: str, source_of: Callable[[str], SnapshotSource]) -> None:
        """Do the same for every channel `kind:NAME`; `source_of` is told the name."""
        self._snapshots_of_kinds[kind] = source_of

    def start(self) -> None:
        """Begin to speak with the other processes, if there is a way."""
        if self._fanout is not None:
            self._fanout.start(self.hear)

    async def stop(self) -> None:
        """Break off what is being read, and fall silent."""
        if self._fanout is not None:
            await self._fanout.stop()
        if self._catching_up is not None:
            self._catching_up.cancel()
            await asyncio.wait({self._catching_up})

    async def announce(self, messages: Sequence[Message]) -> None:
        """Deliver messages *after* their commit, in the order of each channel. Never raises."""
        for channel, group in groupby(messages, key=attrgetter("channel")):
            line = self._lines.get(channel)
            if line is not None:
                line.accept(list(group))
        self._catch_up_soon()
        if self._fanout is not None and messages:
            self._fanout.publish({message.channel: message.seq for message in messages})

    def hear(self, heads: Mapping[str, int]) -> None:
        """Notice what other processes have published."""
        for channel, seq in heads.items():
            line = self._lines.get(channel)
            if line is not None:
                line.hear(seq)
        self._catch_up_soon()

    async def subscribe(self, listener: Listener, channel: str, after: int | None) -> Joined:
        """Begin to listen; what is told from now on waits until `begin`.

        Raises:
            DatabaseUnavailable: what came before cannot be read now.
        """
        line = self._lines.setdefault(channel, ChannelLine(channel))
        line.join(listener)
        try:
            return await self._past(line, after)
        except BaseException:
            self.leave(listener, channel)
            raise

    def begin(self, listener: Listener, channel: str, seen: int) -> None:
        """Go on live after the number a listener has seen."""
        line = self._lines.get(channel)
        if line is not None:
            line.finish(listener, seen)

    def leave(self, listener: Listener, channel: str) -> None:
        """Stop telling a listener of a channel."""
        line = self._lines.get(channel)
        if line is not None:
            line.leave(listener)
            if line.is_deserted:
                del self._lines[channel]

    async def catch_up(self, *, everything: bool) -> None:
        """Read what was not announced here: of every channel, or of those known to be behind.

        Raises:
            DatabaseUnavailable: later, then.
        """
        while lines := [line for line in self._open_lines() if everything or line.is_behind]:
            for line in lines:
                line.is_behind = False
            async with self._database.snapshot() as session:
                found = await ChannelRepository(session).after(
                    {line.channel: line.seq or 0 for line in lines}, CAUGHT_UP_ROWS_MAX
                )
            self._tell_stored(found)
            # A full page may hide more, of any channel.
            everything = len(found) == CAUGHT_UP_ROWS_MAX

    def _tell_stored(self, found: Sequence[Message]) -> None:
        for channel, group in groupby(found, key=attrgetter("channel")):
            line = self._lines.get(channel)
            if line is None or line.seq is None:
                continue
            stored = list(group)
            if stored[0].seq > line.seq + 1:
                # Trimmed before we read it. Whoever comes back is told so, with a snapshot.
                self._send_back(line)
            else:
                line.accept(stored)

    def _send_back(self, line: ChannelLine) -> None:
        for listener in line.listeners:
            listener.close(CloseCode.RESUME)
        del self._lines[line.channel]

    def _open_lines(self) -> Iterable[ChannelLine]:
        return (line for line in self._lines.values() if line.seq is not None)

    def _catch_up_soon(self) -> None:
        is_busy = self._catching_up is not None and not self._catching_up.done()
        if not is_busy and any(line.is_behind for line in self._open_lines()):
            self._catching_up = asyncio.create_task(self._catch_up_now(), name="live-catch-up")

    async def _catch_up_now(self) -> None:
        # Away? The sweep comes back to it.
        with suppress(DatabaseUnavailable):
            await self.catch_up(everything=False)

    async def _past(self, line: ChannelLine, after: int | None) -> Joined:
        source = self._source(line.channel)
        if line.seq is not None and (after == line.seq or (after is None and source is None)):
            return Joined(line.seq)
        joined = await self._read_with_state(line.channel, after, source)
        if not line.open(joined.seq):
            # What is committed only grows: this reads at least what was read when we began.
            joined = await self._read_with_state(line.channel, after, source)
        # We may be behind what was just read.
        line.hear(joined.seq)
        self._catch_up_soon()
        return joined

    async def _read_with_state(
        self, channel: str, after: int | None, source: SnapshotSource | None
    ) -> Joined:
        async with self._reads:
            joined = await self._read(channel, after)
        if source is None or (after is not None and joined.reset is None):
            return joined
        # An engine that is away lets nobody wait but those who ask for the same kind. The head was
        # read first, so the state is at least as new as the number it goes by.
        async with self._looks[channel.partition(":")[0]]:
            return Joined(joined.seq, (), joined.reset, await source.snapshot())

    def _source(self, channel: str) -> SnapshotSource | None:
        kind, _, name = channel.partition(":")
        source_of = self._snapshots_of_kinds.get(kind)
        return self._snapshots.get(channel) if source_of is None else source_of(name)

    async def _read(self, channel: str, after: int | None) -> Joined:
        async with self._database.snapshot() as session:
            channels = ChannelRepository(session)
            head = (await channels.heads([channel]))[channel]
            if after is None:
                return Joined(head)
            if after > head:
                return Joined(head, reset=ResetReason.AHEAD)
            if head - after > REPLAY_MESSAGES_MAX:
                return Joined(head, reset=ResetReason.TOO_FAR)
            replay = await channels.after({channel: after}, REPLAY_MESSAGES_MAX)
        if len(replay) < head - after:
            return Joined(head, reset=ResetReason.TRIMMED)
        return Joined(head, replay)
