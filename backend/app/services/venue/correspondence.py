"""Asks the process that leads a shard, again if need be, until it has answered or time is up.

Of an ask that was sent and not answered nobody knows whether it was carried out. It may be sent
again to the same process, which remembers it, and to another one only if it is one that the
database does once, however often it is asked.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from backend.app.clock import Clock
from backend.app.errors import (
    EngineElsewhere,
    OrderOutcomeUnknown,
    PayloadTooLarge,
    StrongroomError,
    VenueBusy,
)
from backend.app.services.venue.leaders import VenueLeaders
from backend.app.services.venue.mailbox import ITEM_BYTES_MAX, Mailbox
from backend.app.services.venue.wire import Reply, read_refusal

ASK_SECONDS_MAX: Final = 10
LEADERLESS_SECONDS_MAX: Final = 5.0
"""A little longer than a standby takes to lead when the leader was killed."""
ASK_AGAIN_SECONDS: Final = 1.0
REFUSED_PAUSE_SECONDS: Final = 0.25
ASKS_WAITING_MAX: Final = 10_000
_RETRY_AFTER_SECONDS: Final = 1
_NOTHING_DONE: Final = (EngineElsewhere, VenueBusy)

Said = Reply | StrongroomError
Text = Callable[[int, int], bytes]
"""Makes the text of an ask of its number and the moment it ends."""


@dataclass(frozen=True)
class Patience:
    """How long whoever asks waits: in all, for somebody to lead, and before it asks again."""

    ask_seconds_max: float = ASK_SECONDS_MAX
    leaderless_seconds_max: float = LEADERLESS_SECONDS_MAX
    ask_again_seconds: float = ASK_AGAIN_SECONDS


_USUAL: Final = Patience()


class _Waiting:
    """An ask under way: whom it was sent to last, and whether somebody may have carried it out.

    It may be with whoever was asked last; it is doubtful once somebody has not answered in time.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self.is_with_asked = False
        self.is_doubtful = False
        self.said: asyncio.Future[Said] = asyncio.get_running_loop().create_future()

    def hear(self, sender: str, said: Said) -> None:
        # That an earlier leader did nothing says nothing of the one that was asked since.
        if self.said.done() or (isinstance(said, _NOTHING_DONE) and sender != self.asked):
            return
        self.said.set_result(said)


class VenueCorrespondence:
    """The asks of this process that wait for their answers."""

    def __init__(
        self,
        mailbox: Mailbox,
        leaders: VenueLeaders,
        now: Clock,
        patience: Patience = _USUAL,
    ) -> None:
        self._mailbox = mailbox
        self._leaders = leaders
        self._now = now
        self._patience = patience
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = itertools.count(1)

    def hear(self, sender: str, reply: Reply) -> None:
        """Take a reply; one that nobody waits for any more is dropped."""
        waiting = self._waiting.get(reply.number)
        if waiting is not None:
            waiting.hear(sender, reply if reply.refusal is None else read_refusal(reply.refusal))

    async def ask(self, shard: int, text: Text, *, is_repeatable: bool) -> Reply:
        """Return what the leader of a shard says.

        Raises:
            EngineElsewhere: nobody leads, or nobody can be reached; nothing was carried out.
            VenueBusy: too many ask; nothing was carried out.
            OrderOutcomeUnknown: it was sent, and is not known to have been carried out, or not.
            PayloadTooLarge: no letter is that long.
        """
        if not self._mailbox.is_heard:
            raise _elsewhere()
        if len(self._waiting) >= ASKS_WAITING_MAX:
            raise _busy()
        number, waiting = next(self._numbers), _Waiting()
        until = self._now() + timedelta(seconds=self._patience.ask_seconds_max)
        written = text(number, round(until.timestamp() * 1000))
        if len(written) > ITEM_BYTES_MAX:
            raise PayloadTooLarge
        self._waiting[number] = waiting
        try:
            async with asyncio.timeout(self._patience.ask_seconds_max):
                return await self._answered(shard, written, waiting, is_repeatable=is_repeatable)
        except TimeoutError:
            is_unknown = waiting.is_doubtful or waiting.is_with_asked
            raise (_unknown() if is_unknown else _elsewhere()) from None
        finally:
            del self._waiting[number]

    async def _answered(
        self, shard: int, written: bytes, waiting: _Waiting, *, is_repeatable: bool
    ) -> Reply:
        while True:
            leader = await self._leader(shard, waiting)
            if waiting.is_doubtful and leader != waiting.asked and not is_repeatable:
                raise _unknown()
            waiting.asked = leader
            waiting.is_with_asked = self._mailbox.ask(leader, written)
            if not waiting.is_with_asked and not waiting.is_doubtful:
                raise _busy()
            said = await self._heard(waiting.said)
            if said is None:
                waiting.is_doubtful = True
            elif not isinstance(said, _NOTHING_DONE):
                return _or_raise(said)
            else:
                await self._after_nothing(said, waiting)

    async def _leader(self, shard: int, waiting: _Waiting) -> str:
        if waiting.is_doubtful:
            return await self._leaders.known(shard)
        async with asyncio.timeout(self._patience.leaderless_seconds_max):
            return await self._leaders.known(shard)

    async def _after_nothing(self, said: StrongroomError, waiting: _Waiting) -> None:
        """Ask again where it can help, or pass the refusal on where nothing can have happened."""
        if isinstance(said, VenueBusy) and not waiting.is_doubtful:
            raise said
        waiting.said = asyncio.get_running_loop().create_future()
        waiting.is_with_asked = False
        await asyncio.sleep(REFUSED_PAUSE_SECONDS)

    async def _heard(self, said: "asyncio.Future[Said]") -> Said | None:
        done, _ = await asyncio.wait({said}, timeout=self._patience.ask_again_seconds)
        return said.result() if done else None


def _or_raise(said: Said) -> Reply:
    if isinstance(said, StrongroomError):
        raise said
    return said


def _elsewhere() -> StrongroomError:
    return EngineElsewhere(retry_after_seconds=_RETRY_AFTER_SECONDS)


def _busy() -> StrongroomError:
    return VenueBusy(retry_after_seconds=_RETRY_AFTER_SECONDS)


def _unknown() -> StrongroomError:
    return OrderOutcomeUnknown(retry_after_seconds=_RETRY_AFTER_SECONDS)
