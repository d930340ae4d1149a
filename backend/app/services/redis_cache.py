"""The shared cache in Redis or Valkey, which may vanish, hang, empty itself or lie at any moment.

Nothing here raises: a cache that is away is a cache that remembers nothing. Values carry a keyed
mark, so that what somebody else wrote into Redis is a miss, not an answer.

A slow reader cannot put back what a write has just dropped: before it loads it takes the key's tag,
a write changes the tag, and a value is stored only under the tag its reader took.
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from backend.app.exchanges.breaker import Breaker, BreakerOpen
from backend.app.logs import logger

# What a request waits for Redis at the most, once; then the breaker answers at once for a second.
# redis-py's own defaults stall one GET on a hung server for a minute.
OPERATION_TIMEOUT_SECONDS: Final = 0.08
BREAKER_OPEN_SECONDS: Final = 1.0
CONNECTIONS_MAX: Final = 32
# A tag outlives every value stored under it.
TAG_EXTRA_SECONDS: Final = 60
LISTENER_PING_SECONDS: Final = 1.0
LISTENER_RETRY_SECONDS: Final = 1.0

_PREFIX: Final = "strongroom:"
_CHANNEL: Final = "strongroom:forgotten"
_MARK_BYTES: Final = 16
_FAILURES: Final = (RedisError, OSError, TimeoutError, ValueError)

_PUT: Final = """
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
"""
_FORGET: Final = """
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('PUBLISH', KEYS[3], ARGV[3])
"""
_LOG = logger(__name__)


class RedisCache:
    """Redis behind a breaker, and the notices by which processes tell each other what changed."""

    def __init__(
        self, url: str, mark_key: bytes, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = Redis(
            connection_pool=BlockingConnectionPool.from_url(
                url,
                max_connections=CONNECTIONS_MAX,
                timeout=OPERATION_TIMEOUT_SECONDS,
                socket_timeout=OPERATION_TIMEOUT_SECONDS,
                socket_connect_timeout=OPERATION_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        )
        self._mark_key = mark_key
        self._breaker = Breaker(1, BREAKER_OPEN_SECONDS, monotonic)
        self._listener: asyncio.Task[None] | None = None
        self._away = False
        self.listening = False

    async def start(
        self, on_forgotten: Callable[[str], None], on_silence: Callable[[], None]
    ) -> None:
        """Listen for what other processes forget; `on_silence` when notices may be missed."""
        self._listener = asyncio.create_task(
            self._listen(on_forgotten, on_silence), name="cache-listener"
        )

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait({self._listener})
        with suppress(*_FAILURES):
            await self._redis.aclose()

    async def get(self, key: str, ttl_seconds: float) -> tuple[bytes | None, bytes | None]:
        """Return the value and, where there is none, the tag to store one under.

        Both are None when Redis is away: then there is nothing to store under either.
        """
        fresh = secrets.token_hex(8)
        tag_ms = _milliseconds(ttl_seconds + TAG_EXTRA_SECONDS)

        async def ask() -> tuple[bytes | None, bytes | None]:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.get(_PREFIX + key)
                # The tag must exist before the load begins, or a write could be missed.
                pipe.set(_tag(key), fresh, px=tag_ms, nx=True)
                pipe.get(_tag(key))
                marked, _, tag = await pipe.execute()
            return self._unmarked(key, marked), tag

        return await self._attempt(ask) or (None, None)

    async def put(self, key: str, value: bytes, ttl_seconds: float, tag: bytes) -> None:
        """Remember a value, if nobody has changed the key's tag since it was taken."""
        keys = (_PREFIX + key, _tag(key))
        args = (tag, self._marked(key, value), _milliseconds(ttl_seconds))
        await self._attempt(lambda: self._run(_PUT, keys, args))

    async def forget(self, key: str, ttl_seconds: float) -> bool:
        """Drop a key, change its tag and tell the other processes. False when Redis is away."""
        keys = (_PREFIX + key, _tag(key), _CHANNEL)
        args = (secrets.token_hex(8), _milliseconds(ttl_seconds + TAG_EXTRA_SECONDS), key)

        async def drop() -> bool:
            await self._run(_FORGET, keys, args)
            return True

        return bool(await self._attempt(drop))

    async def _run(self, script: str, keys: tuple[str, ...], args: tuple[Any, ...]) -> None:
        await cast("Any", self._redis.eval(script, len(keys), *keys, *args))

    async def _attempt(self, ask: Callable[[], Any]) -> Any:
        try:
            with self._breaker.attempt(*_FAILURES):
                async with asyncio.timeout(2 * OPERATION_TIMEOUT_SECONDS):
                    answer = await ask()
        except BreakerOpen:
            return None
        except _FAILURES as error:
            if not self._away:
                self._away = True
                _LOG.warning("cache_away", kind=type(error).__name__)
            return None
        if self._away:
            self._away = False
            _LOG.info("cache_back")
        return answer

    async def _listen(
        self, on_forgotten: Callable[[str], None], on_silence: Callable[[], None]
    ) -> None:
        while True:
            with suppress(*_FAILURES):
                await self._hear(on_forgotten)
            self.listening = False
            on_silence()
            await asyncio.sleep(LISTENER_RETRY_SECONDS)

    async def _hear(self, on_forgotten: Callable[[str], None]) -> None:
        async with self._redis.pubsub() as notices:
            await notices.subscribe(_CHANNEL)
            unanswered_pings = 0
            while unanswered_pings <= 1:
                notice = await notices.get_message(timeout=LISTENER_PING_SECONDS)
                if notice is None:
                    await notices.ping()
                    unanswered_pings += 1
                    continue
                unanswered_pings = 0
                if notice["type"] == "subscribe":
                    self.listening = True
                elif notice["type"] == "message":
                    on_forgotten(notice["data"].decode())

    def _marked(self, key: str, value: bytes) -> bytes:
        return self._mark(key, value) + value

    def _unmarked(self, key: str, marked: bytes | None) -> bytes | None:
        if marked is None:
            return None
        mark, value = marked[:_MARK_BYTES], marked[_MARK_BYTES:]
        return value if hmac.compare_digest(mark, self._mark(key, value)) else None

    def _mark(self, key: str, value: bytes) -> bytes:
        # The key is part of it: a value moved to another key is not that key's value.
        text = len(key).to_bytes(2, "big") + key.encode() + value
        return hmac.digest(self._mark_key, text, "sha256")[:_MARK_BYTES]


def _tag(key: str) -> str:
    return f"{_PREFIX}{key}#tag"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
