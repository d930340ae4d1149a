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


class SlowWorker:
    """A tick of it ends when it is let go."""

    name = "slow"
    interval_seconds = 60.0

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.let_go = asyncio.Event()
        self.log: list[str] = []

    async def tick(self) -> None:
        self.began.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.log.append("broken off")
            raise
        self.log.append("ended")

    async def close(self) -> None:
        self.log.append("closed")


async def test_a_tick_under_way_ends_before_its_worker_is_closed() -> None:
    worker = SlowWorker()
    runner = WorkerRunner([worker])
    runner.start()
    await worker.began.wait()

    stopping = asyncio.create_task(runner.stop())
    await asyncio.sleep(0)
    worker.let_go.set()
    await stopping

    assert worker.log == ["ended", "closed"]


async def test_a_tick_that_does_not_end_is_broken_off() -> None:
    worker = SlowWorker()
    runner = WorkerRunner([worker], patience_seconds=0.01)
    runner.start()
    await worker.began.wait()

    await runner.stop()

    assert worker.log == ["broken off", "closed"]


async def test_a_worker_that_rests_is_stopped_at_once() -> None:
    worker = SlowWorker()
    worker.let_go.set()
    runner = WorkerRunner([worker])
    runner.start()
    await worker.began.wait()

    await asyncio.wait_for(runner.stop(), timeout=30)

    assert worker.log == ["ended", "closed"]


async def test_a_failed_tick_is_followed_by_another() -> None:
    worker = FailingWorker()
    runner = WorkerRunner([worker])

    runner.start()
    await asyncio.wait_for(worker.thrice.wait(), timeout=60)
    await runner.stop()

    assert worker.closed


async def test_a_runner_that_never_started_stops() -> None:
    worker = FailingWorker()

    await WorkerRunner([worker]).stop()

    assert worker.closed


async def test_a_worker_that_fails_to_let_go_does_not_keep_the_others_from_it() -> None:
    class ClingingWorker(FailingWorker):
        async def close(self) -> None:
            raise OSError("text that no log needs")

    worker = FailingWorker()

    await WorkerRunner([ClingingWorker(), worker]).stop()

    assert worker.closed
