"""Runs workers beside the requests: one task each, never faster than asked, slower on trouble."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from backend.app.logs import logger

_PAUSE_SECONDS_MAX: Final = 60.0
_DOUBLINGS_MAX: Final = 6
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

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start a task for each worker."""
        self._tasks = [
            asyncio.create_task(_run(worker), name=worker.name) for worker in self._workers
        ]

    async def stop(self) -> None:
        """Stop every worker where it is, and let it clear up."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for worker in self._workers:
            await worker.close()


async def _run(worker: Worker) -> None:
    failures = 0
    while True:
        try:
            await worker.tick()
            failures = 0
        except Exception as error:  # noqa: BLE001 - the worker loop outlives a failed tick
            failures = min(failures + 1, _DOUBLINGS_MAX)
            _LOG.warning("worker_failed", worker=worker.name, kind=type(error).__name__)
        await asyncio.sleep(min(worker.interval_seconds * 2**failures, _PAUSE_SECONDS_MAX))
