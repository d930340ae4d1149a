"""Carries what other processes ask of the shards led here to their engines, and the answers back.

What may be done twice without harm is: orders and transfers have names, which the engine knows. Of
anything else a courier remembers what it answered until it is too late to ask again, so that it
does it once, however often it is asked. Another process remembers nothing, and is not asked again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from backend.app.clock import Clock
from backend.app.errors import EngineElsewhere, StrongroomError, VenueBusy
from backend.app.logs import logger
from backend.app.services.venue.correspondence import ASK_SECONDS_MAX
from backend.app.services.venue.leaders import TOLD_EVERY_SECONDS, VenueLeaders
from backend.app.services.venue.mailbox import Mailbox
from backend.app.services.venue.remote import has_unnamed
from backend.app.services.venue.router import LeadingDesk
from backend.app.services.venue.wire import (
    Ask,
    answers_reply,
    book_reply,
    open_orders_reply,
    refusal_reply,
)

CLOCKS_APART_SECONDS_MAX: Final = 5
ASKS_AT_ONCE_MAX: Final = 20_000
ANSWERS_REMEMBERED_MAX: Final = 50_000
FINISH_SECONDS_MAX: Final = 2.0
_RETRY_AFTER_SECONDS: Final = 1
_LOG: Final = logger(__name__)

_Key = tuple[str, int]
"""The asking process and its number: one ask."""


class VenueCourier:
    """A worker that says which shards are led here, and hears what is asked of them."""

    name = "venue-courier"
    interval_seconds = TOLD_EVERY_SECONDS

    def __init__(
        self,
        engines: Mapping[int, LeadingDesk],
        mailbox: Mailbox,
        leaders: VenueLeaders,
        now: Clock,
    ) -> None:
        self._engines = engines
        self._mailbox = mailbox
        self._leaders = leaders
        self._now = now
        self._under_way: dict[_Key, asyncio.Task[None]] = {}
        self._remembered: OrderedDict[_Key, tuple[int, bytes]] = OrderedDict()

    async def tick(self) -> None:
        """Say what is led here, and learn what is led elsewhere."""
        await self._leaders.renew(
            [shard for shard, engine in self._engines.items() if engine.is_leading]
        )

    async def finish(self) -> None:
        """Let what is under way be answered. The engines are stopped: they take nothing more."""
        if self._under_way:
            await asyncio.wait(set(self._under_way.values()), timeout=FINISH_SECONDS_MAX)

    async def close(self) -> None:
        """Break off what is still under way."""
        for task in list(self._under_way.values()):
            task.cancel()

    def hear(self, sender: str, ask: Ask) -> None:
        """Begin to carry out what is asked, unless that was begun before."""
        key, now_ms = (sender, ask.number), self._now_ms()
        self._forget_until(now_ms)
        if not self._is_timely(ask, now_ms):
            _LOG.warning("venue_ask_late", shard=ask.shard)
            return
        if key in self._under_way:
            return
        if key in self._remembered:
            self._mailbox.reply(sender, self._remembered[key][1])
            return
        if self._is_full(ask):
            busy = VenueBusy(retry_after_seconds=_RETRY_AFTER_SECONDS)
            self._mailbox.reply(sender, refusal_reply(ask.number, busy))
            return
        task = asyncio.create_task(self._carry_out(key, ask), name="venue-ask")
        self._under_way[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))

    async def _carry_out(self, key: _Key, ask: Ask) -> None:
        is_done = True
        try:
            reply = await self._reply(ask)
        except (EngineElsewhere, VenueBusy) as refusal:
            # Nothing was done: asked again, it may be.
            reply, is_done = refusal_reply(ask.number, refusal), False
        except StrongroomError as refusal:
            reply = refusal_reply(ask.number, refusal)
        if is_done and _is_done_once(ask):
            self._remembered[key] = ask.until_ms + CLOCKS_APART_SECONDS_MAX * 1000, reply
        self._mailbox.reply(key[0], reply)

    async def _reply(self, ask: Ask) -> bytes:
        engine = self._engines.get(ask.shard)
        if engine is None:
            raise EngineElsewhere(retry_after_seconds=_RETRY_AFTER_SECONDS)
        if ask.book is not None:
            return book_reply(ask.number, await engine.depth(*ask.book))
        if ask.open_orders is not None:
            return open_orders_reply(ask.number, await engine.open_orders(*ask.open_orders))
        return answers_reply(ask.number, await engine.carry_out(ask.commands))

    def _ended(self, key: _Key, task: "asyncio.Task[None]") -> None:
        del self._under_way[key]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # A defect. It is not answered: nobody knows what was done.
            _LOG.error("venue_ask_failed", kind=type(error).__name__)

    def _is_timely(self, ask: Ask, now_ms: int) -> bool:
        apart = CLOCKS_APART_SECONDS_MAX * 1000
        return now_ms - apart <= ask.until_ms <= now_ms + ASK_SECONDS_MAX * 1000 + apart

    def _is_full(self, ask: Ask) -> bool:
        return len(self._under_way) >= ASKS_AT_ONCE_MAX or (
            _is_done_once(ask) and len(self._remembered) >= ANSWERS_REMEMBERED_MAX
        )

    def _forget_until(self, now_ms: int) -> None:
        # In the order they were answered, which is nearly the one they end in.
        while self._remembered and next(iter(self._remembered.values()))[0] < now_ms:
            self._remembered.popitem(last=False)

    def _now_ms(self) -> int:
        return round(self._now().timestamp() * 1000)


def _is_done_once(ask: Ask) -> bool:
    return has_unnamed(ask.commands)
