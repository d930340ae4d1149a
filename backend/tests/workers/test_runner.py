"""Workers go on, whatever happens to one tick."""

import asyncio

from backend.app.workers.runner import WorkerRunner


class FailingWorker:
    name = "failing"
    interval_seconds = 0.001

    def __init__(self) -> None:
        self.ticks = 0
        self.closed = False
        self.thrice = asyncio.Event()

    async def tick(self) -> None:
        self.ticks += 1
        if self.ticks == 3:
            self.thrice.set()
        raise RuntimeError("text that no log needs")

    async def close(self) -> None:
        self.closed = True


async def test_a_failed_tick_is_followed_by_another() -> None:
    worker = FailingWorker()
    runner = WorkerRunner([worker])

    runner.start()
    await asyncio.wait_for(worker.thrice.wait(), timeout=10)
    await runner.stop()

    assert worker.closed


async def test_a_runner_that_never_started_stops() -> None:
    worker = FailingWorker()

    await WorkerRunner([worker]).stop()

    assert worker.closed
