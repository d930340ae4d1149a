"""The mailbox of a process: what it says to others of its venue goes out together, sealed.

A letter that cannot be sent is dropped, and one that does not open, or that nobody can read, is
counted in the log and dropped: whoever asked asks again.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from backend.app.logs import logger
from backend.app.services.venue.seal import LetterForged, Seal
from backend.app.services.venue.streams import (
    LETTER_BYTES_MAX,
    Letter,
    StreamsAway,
    VenueStreams,
)
from backend.app.services.venue.wire import (
    Ask,
    LetterUnreadable,
    Message,
    Reply,
    letter_body,
    read_letter,
)

ITEM_BYTES_MAX: Final = LETTER_BYTES_MAX - 1024
"""Room is left for the mark and the sender."""
ITEMS_WAITING_MAX: Final = 20_000
RETRY_SECONDS: Final = 0.5
_COMMA: Final = 1
_LOG: Final = logger(__name__)


class _Item(NamedTuple):
    to: str
    is_reply: bool
    text: bytes


class Mailbox:
    """Sends to other mailboxes by name, and hears what comes to its own. Nothing here raises."""

    def __init__(self, streams: VenueStreams, seal: Seal) -> None:
        self.name: Final = secrets.token_hex(8)
        """Drawn anew at each start: what was meant for an earlier process is for nobody."""
        self._streams = streams
        self._seal = seal
        self._waiting: list[_Item] = []
        self._something_waits = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_said_away = False
        self._is_heard = False
        # redis-py may swallow a cancellation (asyncio.wait_for before Python 3.12 does).
        self._is_stopping = False

    @property
    def is_heard(self) -> bool:
        """Whether letters arrived, or could have, at the last look."""
        return self._is_heard

    def start(
        self, hear_ask: Callable[[str, Ask], None], hear_reply: Callable[[str, Reply], None]
    ) -> None:
        """Begin to send, and to hand on what comes, each with the name of who sent it."""
        self._tasks = [
            asyncio.create_task(self._speak(), name="venue-speaker"),
            asyncio.create_task(self._listen(hear_ask, hear_reply), name="venue-listener"),
        ]

    async def stop(self) -> None:
        """Send what waits, if it goes quickly, and fall silent."""
        if self._tasks:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._streams.seconds_max):
                    await self._all_sent.wait()
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._is_heard = False

    def ask(self, to: str, text: bytes) -> bool:
        """Send an ask to a mailbox; tell whether there was room for it."""
        return self._post(_Item(to, False, text))

    def reply(self, to: str, text: bytes) -> bool:
        """Send a reply to a mailbox; tell whether there was room for it."""
        return self._post(_Item(to, True, text))

    def _post(self, item: _Item) -> bool:
        if len(self._waiting) >= ITEMS_WAITING_MAX or len(item.text) > ITEM_BYTES_MAX:
            return False
        self._waiting.append(item)
        self._all_sent.clear()
        self._something_waits.set()
        return True

    async def _speak(self) -> None:
        while not self._is_stopping:
            await self._something_waits.wait()
            self._something_waits.clear()
            # What is said while these are under way goes out together, with the next.
            items, self._waiting = self._waiting, []
            try:
                await self._streams.send(list(self._letters(items)))
            except StreamsAway as away:
                self._say_away(away)
                await asyncio.sleep(RETRY_SECONDS)
            if not self._waiting:
                self._all_sent.set()

    def _letters(self, items: list[_Item]) -> Iterator[tuple[str, bytes]]:
        by_receiver: dict[str, list[_Item]] = {}
        for item in items:
            by_receiver.setdefault(item.to, []).append(item)
        for to, theirs in by_receiver.items():
            for some in _in_letters(theirs):
                asks = [item.text for item in some if not item.is_reply]
                replies = [item.text for item in some if item.is_reply]
                yield to, self._seal.close(to, letter_body(self.name, asks, replies))

    async def _listen(
        self, hear_ask: Callable[[str, Ask], None], hear_reply: Callable[[str, Reply], None]
    ) -> None:
        read: list[bytes] = []
        while not self._is_stopping:
            try:
                letters = await self._streams.receive(self.name, read)
            except StreamsAway as away:
                self._is_heard = False
                self._say_away(away)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._say_back()
            read = [number for number, _ in letters]
            for message in self._opened(letters):
                for ask in message.asks:
                    hear_ask(message.sender, ask)
                for reply in message.replies:
                    hear_reply(message.sender, reply)

    def _opened(self, letters: list[Letter]) -> list[Message]:
        messages, forged, unreadable = [], 0, 0
        for _, letter in letters:
            try:
                messages.append(read_letter(self._seal.open(self.name, letter or b"")))
            except LetterForged:
                forged += 1
            except LetterUnreadable:
                unreadable += 1
        if forged or unreadable:
            _LOG.warning("venue_letters_refused", forged=forged, unreadable=unreadable)
        return messages

    def _say_back(self) -> None:
        self._is_heard = True
        if self._is_said_away:
            self._is_said_away = False
            _LOG.info("venue_post_back")

    def _say_away(self, away: StreamsAway) -> None:
        if not self._is_said_away:
            self._is_said_away = True
            _LOG.warning("venue_post_away", kind=str(away))


def _in_letters(items: list[_Item]) -> Iterator[list[_Item]]:
    some: list[_Item] = []
    room = ITEM_BYTES_MAX
    for item in items:
        if some and len(item.text) + _COMMA > room:
            yield some
            some, room = [], ITEM_BYTES_MAX
        some.append(item)
        room -= len(item.text) + _COMMA
    yield some
