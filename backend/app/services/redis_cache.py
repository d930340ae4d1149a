"""The shared cache in Redis or Valkey, which may vanish, hang, empty itself or lie at any moment.

Nothing here raises, and a cache that is away remembers nothing. Three rules keep it from lying:

- Every value is marked with a keyed hash over its key, the epoch and the key's tag. A write changes
  the tag, so what was read before the write counts for nothing, whoever stores it and however late.
  What somebody else wrote, cut or moved counts for nothing either.
- A process uses Redis only while it hears every notice, on one unbroken connection. That connection
  also proves the server alive after a failure, so that no request has to try.
- Whoever may have missed a notice, or could not send one, begins a new epoch before using Redis
  again: then everything stored before is forgotten by everybody. So is what a restarted server
  brought back from its disk, and what a killed process had no time to forget.

A process cut off from a Redis that the others still reach cannot tell them: until it is back they
may answer as before, for the life of an entry at the longest.
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from backend.app.errors import ConfigurationError
from backend.app.logs import logger
from backend.app.services.task_end import end

# What a request waits for Redis at the most, and only the first ones: then nobody asks it until it
# has been heard again. redis-py's own defaults stall one GET on a hung server for a minute.
OPERATION_SECONDS_MAX: Final = 0.08
REST_SECONDS_MIN: Final = 1.0
CONNECTIONS_MAX: Final = 32
LISTENER_PING_SECONDS: Final = 1.0
LISTENER_ANSWER_SECONDS_MAX: Final = 1.0
LISTENER_RETRY_SECONDS: Final = 1.0

_PREFIX: Final = "strongroom:"
_EPOCH: Final = "strongroom:#epoch"
_CHANNEL: Final = "strongroom:#forgotten"
_EVERYTHING: Final = "*"
_MARK_BYTES: Final = 16
_FAILURES: Final = (RedisError, OSError, TimeoutError, ValueError)
_LOG = logger(__name__)

_T = TypeVar("_T")


class RedisCache:
    """Redis while it can be trusted, and the notices by which processes tell what changed.

    Raises:
        ConfigurationError: the address is not one of a Redis.
    """

    def __init__(
        self,
        url: str,
        mark_key: bytes,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        operation_seconds_max: float = OPERATION_SECONDS_MAX,
        answer_seconds_max: float = LISTENER_ANSWER_SECONDS_MAX,
    ) -> None:
        self._redis = redis_client(url, answer_seconds_max)
        self._mark_key = mark_key
        self._monotonic = monotonic
        self._operation_seconds_max = operation_seconds_max
        self._answer_seconds_max = answer_seconds_max
        self._listener: asyncio.Task[None] | None = None
        self._is_joined = False
        self._is_resting = False
        self._rests_until = 0.0
        # Whoever we were before this start may have left something unforgotten.
        self._owes_epoch = True
        self._is_said_away = False

    @property
    def is_used(self) -> bool:
        """Tell whether notices arrive and the last request to Redis was answered."""
        return self._is_joined and not self._is_resting

    async def start(
        self, on_forgotten: Callable[[str], None], on_everything: Callable[[], None]
    ) -> None:
        """Listen for what other processes forget; `on_everything` when it may be any key."""
        self._listener = asyncio.create_task(
            self._listen(on_forgotten, on_everything), name="cache-listener"
        )

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._listener is not None:
            await end(self._listener)
        self._is_joined = False
        with suppress(*_FAILURES):
            await self._redis.aclose()

    async def get(self, key: str, ttl_seconds: float) -> tuple[bytes | None, bytes | None]:
        """Return the value, and the stamp to put one under.

        The stamp must be taken before the load begins, or a write could be missed. Both are None
        when Redis is away.
        """

        async def ask() -> tuple[bytes | None, bytes | None]:
            names = (_tag(key), _EPOCH)
            # redis-py cannot say that without `decode_responses` everything is bytes.
            read = cast("list[bytes | None]", await self._redis.mget(_PREFIX + key, *names))
            marked, tag, epoch = read
            if tag is None or epoch is None:
                async with self._redis.pipeline(transaction=False) as pipe:
                    pipe.set(
                        names[0], secrets.token_bytes(8), px=_milliseconds(ttl_seconds), nx=True
                    )
                    pipe.set(names[1], secrets.token_bytes(8), nx=True)
                    pipe.mget(names)
                    tag, epoch = (await pipe.execute())[-1]
            if tag is None or epoch is None:
                return None, None
            stamp = epoch + tag
            return self._unmarked(key, stamp, marked), stamp

        return await self._attempt(ask) or (None, None)

    async def put(self, key: str, value: bytes, ttl_seconds: float, stamp: bytes) -> None:
        """Remember a value; it counts as long as the key's stamp is the one taken before."""

        async def store() -> None:
            async with self._redis.pipeline(transaction=False) as pipe:
                marked = self._mark(key, stamp, value) + value
                pipe.set(_PREFIX + key, marked, px=_milliseconds(ttl_seconds))
                # Without its tag a value counts no more.
                pipe.pexpire(_tag(key), _milliseconds(ttl_seconds))
                await pipe.execute()

        await self._attempt(store)

    async def forget(self, key: str, ttl_seconds: float) -> None:
        """Make whatever is stored under this key count for nothing, and tell everybody."""

        async def drop() -> bool:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(_tag(key), secrets.token_bytes(8), px=_milliseconds(ttl_seconds))
                pipe.unlink(_PREFIX + key)
                pipe.publish(_CHANNEL, key)
                await pipe.execute()
            return True

        is_forgotten = None
        try:
            is_forgotten = await self._attempt(drop)
        finally:
            # Cancelled counts as failed: nobody knows how far it came.
            if not is_forgotten:
                self._owes_epoch, self._is_joined = True, False

    async def _attempt(self, ask: Callable[[], Awaitable[_T]]) -> _T | None:
        if not self.is_used:
            return None
        try:
            async with asyncio.timeout(self._operation_seconds_max):
                return await ask()
        except _FAILURES as error:
            self._is_resting, self._rests_until = True, self._monotonic() + REST_SECONDS_MIN
            self._say_away(error)
            return None

    async def _listen(
        self, on_forgotten: Callable[[str], None], on_everything: Callable[[], None]
    ) -> None:
        while True:
            try:
                async with self._redis.pubsub() as notices:
                    await self._hear(notices, on_forgotten, on_everything)
            except _FAILURES as error:
                self._say_away(error)
            finally:
                # Another server may answer next, or this one with what it had on its disk.
                self._owes_epoch, self._is_joined = True, False
                on_everything()
            await asyncio.sleep(LISTENER_RETRY_SECONDS)

    async def _hear(
        self,
        notices: PubSub,
        on_forgotten: Callable[[str], None],
        on_everything: Callable[[], None],
    ) -> None:
        await notices.subscribe(_CHANNEL)
        notice = await _next(notices, self._answer_seconds_max)
        while notice is not None:
            self._is_resting = self._monotonic() < self._rests_until
            name = notice["data"].decode() if notice["type"] == "message" else None
            if name == _EVERYTHING:
                on_everything()
            elif name is not None:
                on_forgotten(name)
            await self._join()
            notice = await _next(notices, LISTENER_PING_SECONDS)
            if notice is None:
                await notices.ping()
                notice = await _next(notices, self._answer_seconds_max)
        raise TimeoutError

    async def _join(self) -> None:
        """Use Redis from here on, in a new epoch if one is owed."""
        while self._owes_epoch:
            # Owed again meanwhile? What was forgotten after it began is not forgotten by it.
            self._owes_epoch = False
            async with (
                asyncio.timeout(self._answer_seconds_max),
                self._redis.pipeline(transaction=False) as pipe,
            ):
                pipe.set(_EPOCH, secrets.token_bytes(8))
                pipe.publish(_CHANNEL, _EVERYTHING)
                await pipe.execute()
        self._is_joined = True
        if self._is_said_away and not self._is_resting:
            self._is_said_away = False
            _LOG.info("cache_back")

    def _say_away(self, error: Exception) -> None:
        if not self._is_said_away:
            self._is_said_away = True
            _LOG.warning("cache_away", kind=type(error).__name__)

    def _unmarked(self, key: str, stamp: bytes, marked: bytes | None) -> bytes | None:
        if marked is None:
            return None
        mark, value = marked[:_MARK_BYTES], marked[_MARK_BYTES:]
        return value if hmac.compare_digest(mark, self._mark(key, stamp, value)) else None

    def _mark(self, key: str, stamp: bytes, value: bytes) -> bytes:
        parts = (key.encode(), stamp, value)
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._mark_key, text, "sha256")[:_MARK_BYTES]


def redis_client(url: str, answer_seconds_max: float = LISTENER_ANSWER_SECONDS_MAX) -> Redis:
    """Return a client that gives up soon and retries nothing.

    Raises:
        ConfigurationError: the address is not one of a Redis.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=OPERATION_SECONDS_MAX,
            socket_timeout=answer_seconds_max,
            socket_connect_timeout=answer_seconds_max,
            retry=Retry(NoBackoff(), 0),
            # With it the pool would hand out connections that it has not seen to be alive.
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        # A parameter it does not know would otherwise come up at the first request.
        pool.connection_class(**pool.connection_kwargs)
        is_whole = _is_whole(url)
    except (ValueError, TypeError, RedisError):
        is_whole = False
    if not is_whole:
        # The library's text may quote the address, and with it the password.
        raise ConfigurationError(
            "REDIS_URL: not an address of a Redis. It reads redis://[:password@]host[:port]"
            "[/number], the same with rediss:// for TLS, or unix:///path/to/socket."
        )
    return Redis.from_pool(pool)


def _is_whole(url: str) -> bool:
    """Tell whether nothing is missing that the library would silently make up."""
    address = urlsplit(url)
    if address.scheme == "unix":
        return bool(address.path)
    number = address.path.removeprefix("/")
    return bool(address.hostname) and (not number or number.isdecimal())


async def _next(notices: PubSub, seconds_max: float) -> dict[str, Any] | None:
    notice: dict[str, Any] | None = await notices.get_message(timeout=seconds_max)
    return notice


def _tag(key: str) -> str:
    return f"{_PREFIX}{key}#tag"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
