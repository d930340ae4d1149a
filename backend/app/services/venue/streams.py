"""Redis Streams as the venue's post: mailboxes that one party each empties, and who leads.

Nothing rests on it. A letter may be lost, doubled, late or forged; who writes and reads them knows
how to live with that. A letter that was read is deleted with the next reading.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

from redis.exceptions import RedisError

from backend.app.services.redis_cache import redis_client

LETTER_BYTES_MAX: Final = 512 * 1024
LETTERS_UNREAD_MAX: Final = 1_000
"""Of a mailbox. Beyond it Redis drops the oldest: they are asked again."""
LETTERS_READ_MAX: Final = 100
MAILBOX_SECONDS_MAX: Final = 30
SENDING_SECONDS_MAX: Final = 1.0
READING_SECONDS: Final = 0.5
LEADER_TOLD_SECONDS: Final = 3.0

_MAILBOX: Final = "strongroom:venue:mailbox:"
_LEADER: Final = "strongroom:venue:leader:"
_FIELD: Final = b"letter"
_FAILURES: Final = (RedisError, OSError, TimeoutError)

Letter = tuple[bytes, bytes | None]
"""The id of an entry, and what it holds if that can be a letter."""


class StreamsAway(Exception):
    """Redis did not do as it was asked, or nobody knows whether it did."""


class VenueStreams:
    """What the venue asks of Redis, and how long it waits for an answer.

    Raises:
        ConfigurationError: the address is not one of a Redis.
    """

    def __init__(self, url: str, seconds_max: float = SENDING_SECONDS_MAX) -> None:
        self._redis = redis_client(url, seconds_max)
        self.seconds_max: Final = seconds_max

    async def send(self, letters: Sequence[tuple[str, bytes]]) -> None:
        """Put letters into the mailboxes of these names.

        Raises:
            StreamsAway: some may be there, or none.
        """
        async with _or_away(self.seconds_max), self._redis.pipeline(transaction=False) as pipe:
            for name, letter in letters:
                pipe.xadd(_MAILBOX + name, {_FIELD: letter}, maxlen=LETTERS_UNREAD_MAX)
                # Nobody empties the mailbox of a process that is gone.
                pipe.expire(_MAILBOX + name, MAILBOX_SECONDS_MAX)
            await pipe.execute()

    async def receive(self, name: str, read: Sequence[bytes]) -> list[Letter]:
        """Delete the letters that were read, and return the next; wait a little for the first.

        Raises:
            StreamsAway: nothing can be read now; what was read may come again.
        """
        mailbox = _MAILBOX + name
        async with (
            _or_away(READING_SECONDS + self.seconds_max),
            self._redis.pipeline(transaction=False) as pipe,
        ):
            if read:
                pipe.xdel(mailbox, *read)
            milliseconds = round(READING_SECONDS * 1000)
            pipe.xread({mailbox: "0-0"}, count=LETTERS_READ_MAX, block=milliseconds)
            answer = (await pipe.execute())[-1]
        return [
            (number, _letter(fields))
            for _, entries in _mailboxes(answer)
            for number, fields in entries
        ]

    async def tell_leaders(self, told: Mapping[int, bytes], shards: Sequence[int]) -> list[Letter]:
        """Say who leads the shards in `told`, for a few seconds, and return what is said of all.

        Raises:
            StreamsAway: nothing is known.
        """
        async with _or_away(self.seconds_max), self._redis.pipeline(transaction=False) as pipe:
            for shard, letter in told.items():
                pipe.set(f"{_LEADER}{shard}", letter, px=round(LEADER_TOLD_SECONDS * 1000))
            names = [f"{_LEADER}{shard}" for shard in shards]
            pipe.mget(names)
            found = cast("list[bytes | None]", (await pipe.execute())[-1])
        return [(name.encode(), letter) for name, letter in zip(names, found, strict=True)]

    async def close(self) -> None:
        """Close every connection."""
        with suppress(*_FAILURES):
            await self._redis.aclose()


@asynccontextmanager
async def _or_away(seconds_max: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds_max):
            yield
    except _FAILURES as error:
        raise StreamsAway(type(error).__name__) from None


def _mailboxes(answer: object) -> list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    # An empty answer is no list in one protocol, and a mapping in the other.
    if isinstance(answer, dict):
        return [(name, entries[0]) for name, entries in answer.items()]
    return list(answer) if isinstance(answer, list) else []


def _letter(fields: Mapping[bytes, bytes]) -> bytes | None:
    letter = fields.get(_FIELD)
    return letter if letter is not None and len(letter) <= LETTER_BYTES_MAX else None
