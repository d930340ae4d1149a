"""Asking a key service: in a bounded pool of threads, within a deadline, again after a stumble.

The SDKs block, so they run in threads. Whoever asks waits two seconds at the most, tries and pauses
included; then the answer is `VaultUnavailable`, and nothing that was tried has changed anything.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import SystemRandom
from typing import Final, TypeVar

from backend.app.errors import VaultUnavailable

DEADLINE_SECONDS: Final = 2.0
RETRIES_MAX: Final = 2
THREADS_MAX: Final = 16
WAITING_MAX: Final = 256
_PAUSE_SECONDS: Final = 0.05
_RETRY_AFTER_SECONDS: Final = 2

Answer = TypeVar("Answer")


class KeyServiceStumbled(Exception):
    """The key service was busy, throttled us, broke off or gave no usable answer; try again."""


class KeyServiceRefused(Exception):
    """The key service answered that it will not; asking again at once would not help."""


class KeyServiceCalls:
    """The way to one key service."""

    def __init__(self, provider: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._provider = provider
        self._deadline_seconds = deadline_seconds
        self._pool = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix=provider)
        self._waiting = 0

    async def ask(self, call: Callable[[], Answer]) -> Answer:
        """Return what a blocking call answers; it may be made three times.

        Raises:
            VaultUnavailable: no answer in time, a refusal, or too many callers waiting already.
        """
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._ask_again(call)
        except TimeoutError:
            raise self._unavailable("does not answer in time") from None

    async def _ask_again(self, call: Callable[[], Answer]) -> Answer:
        for attempt in range(RETRIES_MAX + 1):
            if attempt:
                # Jitter, so that those who stumbled together do not come back together.
                await asyncio.sleep(SystemRandom().uniform(0, _PAUSE_SECONDS * 2**attempt))
            try:
                return await self._ask_once(call)
            except KeyServiceRefused:
                raise self._unavailable("refuses us") from None
            except KeyServiceStumbled:
                continue
        raise self._unavailable("gives no usable answer")

    async def _ask_once(self, call: Callable[[], Answer]) -> Answer:
        if self._waiting >= WAITING_MAX:
            raise self._unavailable("is asked more than it can answer")
        self._waiting += 1
        asked = self._pool.submit(call)
        # Not when the caller gives up: a thread that still waits is still taken.
        loop = asyncio.get_running_loop()
        asked.add_done_callback(lambda _: _tell(loop, self._one_less))
        return await asyncio.wrap_future(asked)

    def _one_less(self) -> None:
        self._waiting -= 1

    def _unavailable(self, what: str) -> VaultUnavailable:
        return VaultUnavailable(
            f"The key service ({self._provider}) {what}.",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )


def _tell(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    # A thread may outlive the loop that asked.
    if not loop.is_closed():
        loop.call_soon_threadsafe(act)
