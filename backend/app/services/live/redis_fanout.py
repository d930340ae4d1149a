"""Tells other processes, through Redis, which channels have gone on, and hears it from them.

Only names and numbers travel; the messages are read from PostgreSQL, once a process for all that
was heard meanwhile. So whoever can write to Redis can make a process look, and can forge nothing,
and what is lost here is found by the sweep a second later.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import RedisError

from backend.app.logs import logger
from backend.app.services.redis_cache import redis_client
from backend.app.services.task_end import end

WAITING_CHANNELS_MAX: Final = 1_000
SENDING_SECONDS_MAX: Final = 1.0
PING_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
NOTICE_BYTES_MAX: Final = 128 * 1024

_CHANNEL: Final = "strongroom:#live"
_FAILURES: Final = (RedisError, OSError, TimeoutError)
_LOG = logger(__name__)

Heads = Mapping[str, int]


class RedisFanout:
    """One channel of Redis that all processes of the installation speak and listen on.

    Raises:
        ConfigurationError: the address is not one of a Redis.
    """

    def __init__(self, url: str, answer_seconds_max: float = SENDING_SECONDS_MAX) -> None:
        self._redis = redis_client(url, answer_seconds_max)
        self._answer_seconds_max = answer_seconds_max
        self._waiting: dict[str, int] = {}
        self._something_waits = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_said_away = False
        self.is_heard = asyncio.Event()

    def publish(self, heads: Heads) -> None:
        """Say that channels have messages up to these numbers. Neither waits nor raises."""
        for channel, seq in heads.items():
            if channel in self._waiting or len(self._waiting) < WAITING_CHANNELS_MAX:
                self._waiting[channel] = seq
        self._something_waits.set()

    def start(self, hear: Callable[[Heads], None]) -> None:
        """Begin to speak, and to tell `hear` what others say."""
        self._tasks = [
            asyncio.create_task(self._speak(), name="live-speaker"),
            asyncio.create_task(self._listen(hear), name="live-listener"),
        ]

    async def stop(self) -> None:
        """Fall silent and close every connection."""
        await end(*self._tasks)
        with suppress(*_FAILURES):
            await self._redis.aclose()

    async def _speak(self) -> None:
        while True:
            await self._something_waits.wait()
            self._something_waits.clear()
            # What is said while this is under way goes out together, with the next.
            said, self._waiting = self._waiting, {}
            try:
                async with asyncio.timeout(self._answer_seconds_max):
                    await self._redis.publish(_CHANNEL, json.dumps(said))
            except _FAILURES as error:
                self._say_away(error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, hear: Callable[[Heads], None]) -> None:
        while True:
            try:
                async with self._redis.pubsub() as notices:
                    await notices.subscribe(_CHANNEL)
                    await self._hear(notices, hear)
            except _FAILURES as error:
                self._say_away(error)
            finally:
                self.is_heard.clear()
            await asyncio.sleep(RETRY_SECONDS)

    async def _hear(self, notices: Any, hear: Callable[[Heads], None]) -> None:
        while True:
            notice = await notices.get_message(timeout=PING_SECONDS)
            if notice is None:
                await notices.ping()
                notice = await notices.get_message(timeout=self._answer_seconds_max)
            if notice is None:
                raise TimeoutError
            if notice["type"] == "message":
                hear(_heads(notice["data"]))
            elif not self.is_heard.is_set():
                self._say_back()

    def _say_back(self) -> None:
        self.is_heard.set()
        if self._is_said_away:
            self._is_said_away = False
            _LOG.info("live_fanout_back")

    def _say_away(self, error: Exception) -> None:
        if not self._is_said_away:
            self._is_said_away = True
            _LOG.warning("live_fanout_away", kind=type(error).__name__)


def _heads(notice: bytes) -> Heads:
    """Read what somebody said; anything may stand there."""
    if len(notice) > NOTICE_BYTES_MAX:
        return {}
    try:
        said = json.loads(notice)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {channel: seq for channel, seq in said.items() if type(seq) is int}
