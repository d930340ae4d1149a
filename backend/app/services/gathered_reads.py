"""Many single reads as few: whatever is asked for while one read is under way is the next one.

Under load a look-up each would take a connection and a round trip each. Gathered, those who wait
share one (`make load`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

from backend.app.errors import DatabaseUnavailable

READ_KEYS_MAX: Final = 500
WAITING_KEYS_MAX: Final = 10_000
_RETRY_AFTER_SECONDS: Final = 2

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class GatheredReads(Generic[_Key, _Value]):
    """Reads by key. `fresh` is told of each value that nothing has changed since it was asked."""

    def __init__(
        self,
        read: Callable[[Sequence[_Key]], Awaitable[Mapping[_Key, _Value]]],
        fresh: Callable[[_Key, _Value], None],
    ) -> None:
        self._read = read
        self._fresh = fresh
        self._waiting: dict[_Key, asyncio.Future[_Value | None]] = {}
        # Who may still be joined: nobody whose read began before what it reads was changed.
        self._under_way: dict[_Key, asyncio.Future[_Value | None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def get(self, key: _Key) -> _Value | None:
        """Return what is stored under a key, or None.

        Raises:
            DatabaseUnavailable: it cannot be read, or too many wait.
        """
        asked = self._under_way.get(key) or self._waiting.get(key)
        if asked is None:
            if len(self._waiting) >= WAITING_KEYS_MAX:
                raise DatabaseUnavailable(retry_after_seconds=_RETRY_AFTER_SECONDS)
            asked = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._reader is None:
                self._reader = asyncio.create_task(self._read_all(), name="gathered-reads")
        # Shielded: one caller who hangs up must not take the others' answer along.
        return await asyncio.shield(asked)

    def changed(self, key: _Key) -> None:
        """What is being read under this key may be old: it is not remembered, and not joined."""
        self._under_way.pop(key, None)

    def everything_changed(self) -> None:
        """All that is being read may be old."""
        self._under_way.clear()

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                batch = {
                    key: self._waiting.pop(key)
                    for key in list(islice(self._waiting, READ_KEYS_MAX))
                }
                self._under_way = dict(batch)
                await self._read_some(batch)
                self._under_way = {}
        finally:
            self._reader = None

    async def _read_some(self, batch: Mapping[_Key, "asyncio.Future[_Value | None]"]) -> None:
        try:
            found = await self._read(list(batch))
        except BaseException as error:
            for answered in batch.values():
                answered.set_exception(
                    error if isinstance(error, Exception) else DatabaseUnavailable()
                )
                answered.exception()  # Seen, even if every caller has hung up.
            if not isinstance(error, Exception):
                raise
            return
        for key, answered in batch.items():
            value = found.get(key)
            if value is not None and self._under_way.get(key) is answered:
                self._fresh(key, value)
            answered.set_result(value)
