"""Runs workers beside the requests: one task each, never faster than asked, slower on trouble."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from backend.app.logs import logger

_PAUSE_SECONDS_MAX: Final = 60.0
_DOUBLINGS_MAX: Final = 6
_PATIENCE_SECONDS: Final = 2.0
_LOG = logger(__name__)


class Worker(Protocol):
    """Something to do again and again. A tick is bounded, may be repeated and may be lost."""

    name: str
    interval_seconds: float

    async def tick(self) -> None:
        """Do one round."""
        ...

    async def close(self) -> None:
        """Let go of what is held between ticks."""
        ...


class WorkerRunner:
    """The workers of one process."""

    def __init__(
        self, workers: Sequence[Worker], patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._workers = workers
        self._patience_seconds = patience_seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start a task for each worker."""
        self._tasks = [
            asyncio.create_task(_run(worker, self._stopping), name=worker.name)
            for worker in self._workers
        ]

    async def stop(self) -> None:
        """Let ticks under way end, break off those that take too long, and clear up.

        One that cannot let go does not keep the others from it.
        """
        tasks, self._tasks = self._tasks, []
        self._stopping.set()
        if tasks:
            # A connection broken off while it is being made would stay open in nobody's hands.
            _, late = await asyncio.wait(tasks, timeout=self._patience_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for worker in self._workers:
            try:
                await worker.close()
            except Exception as error:  # noqa: BLE001 - each of the others is still to be closed
                _LOG.warning("worker_close_failed", worker=worker.name, kind=type(error).__name__)


async def _run(worker: Worker, stopping: asyncio.Event) -> None:
    failures = 0
    while not stopping.is_set():
        try:
            await worker.tick()
            failures = 0
        except Exception as error:  # noqa: BLE001 - the worker loop outlives a failed tick
            failures = min(failures + 1, _DOUBLINGS_MAX)
            _LOG.warning("worker_failed", worker=worker.name, kind=type(error).__name__)
        pause_seconds = min(worker.interval_seconds * 2**failures, _PAUSE_SECONDS_MAX)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await stopping.wait()
