"""Two processes on one Valkey, in any order of steps: nothing older than the last forget.

The model is the database: a number that only grows. A read that begins after a forget has returned
in its own process, or has been announced to its process, never gives a smaller number.
"""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)

from backend.app.services.cache_service import CacheService
from backend.app.services.redis_cache import RedisCache
from backend.tests.support.examples import one_in
from backend.tests.support.valkey import Valkey, eventually

KEY = "list:1"
TTL_SECONDS = 60.0
PROCESSES = st.sampled_from([0, 1])


class Process(CacheService):
    """A process that tells which notices it has heard, and what its reads may not fall behind."""

    def __init__(self, url: str) -> None:
        # Patient, so that a busy machine does not make it step aside from what is tried here.
        self.redis = RedisCache(url, b"m" * 32, operation_seconds_max=60.0, answer_seconds_max=60.0)
        super().__init__(self.redis)
        self.dropped: set[str] = set()
        self.floor = 0

    def _drop(self, key: str) -> None:
        super()._drop(key)
        self.dropped.add(key)


@dataclass
class Read:
    """A read under way; its load has seen the database and waits at the gate to say so."""

    floor: int
    task: asyncio.Task[bytes]
    gate: asyncio.Event
    at_gate: list[bool] = field(default_factory=list)

    @property
    def stands_still(self) -> bool:
        return self.task.done() or bool(self.at_gate)


class Interleavings(RuleBasedStateMachine):
    def __init__(self, valkey: Valkey) -> None:
        super().__init__()
        self.valkey = valkey
        self.version = 0
        self.settlings = 0
        self.reads: list[Read] = []
        self.runner = asyncio.Runner()
        self.processes = [Process(valkey.url), Process(valkey.url)]
        self.runner.run(self.join())

    async def join(self) -> None:
        self.valkey.flush()
        for process in self.processes:
            await process.start()
        await self.until_used()

    async def until_used(self) -> None:
        await eventually(lambda: all(process.redis.is_used for process in self.processes))

    @rule(of=PROCESSES)
    def read(self, of: int) -> None:
        self.runner.run(self.finish([self.begin_read(of, is_slow=False)]))

    @rule(of=PROCESSES)
    def begin_slow_read(self, of: int) -> None:
        async def begin() -> None:
            read = self.begin_read(of, is_slow=True)
            # One that joined another's load stands still when that does.
            self.reads.append(read)
            others = [other for other in self.reads if other is not read]
            await eventually(lambda: read.stands_still or any(o.at_gate for o in others))

        self.runner.run(begin())

    # No precondition: which reads still wait depends on time, and the choice of steps must not.
    @rule(number=st.integers(0, 100))
    def let_a_slow_read_go_on(self, number: int) -> None:
        async def go_on() -> None:
            if not self.reads:
                return
            self.reads[number % len(self.reads)].gate.set()
            await asyncio.sleep(0.002)
            await self.finish([read for read in self.reads if read.task.done()])

        self.runner.run(go_on())

    @rule(of=PROCESSES, reader=PROCESSES, steps=st.integers(0, 12), settles=st.booleans())
    def write(self, of: int, reader: int, steps: int, settles: bool) -> None:
        self.runner.run(self.change(of, reader, steps, settles))

    async def change(self, of: int, reader: int, steps: int, settles: bool) -> None:
        await self.until_used()
        self.version += 1
        written = self.version
        forgetting = asyncio.create_task(self.processes[of].forget(KEY, TTL_SECONDS))
        for _ in range(steps):
            await asyncio.sleep(0)
        between = self.begin_read(reader, is_slow=False)
        await forgetting
        self.processes[of].floor = written
        after = self.begin_read(of, is_slow=False)
        if settles:
            await self.settle()
            for process in self.processes:
                process.floor = written
        await self.finish([between, after, *(self.begin_read(n, is_slow=False) for n in (0, 1))])

    async def settle(self) -> None:
        """Wait until both have heard everything that has been said so far."""
        self.settlings += 1
        barrier = f"barrier:{self.settlings}"
        self.valkey.command("PUBLISH", "strongroom:#forgotten", barrier)
        await eventually(lambda: all(barrier in process.dropped for process in self.processes))

    @rule()
    def flush(self) -> None:
        self.valkey.flush()

    def begin_read(self, of: int, *, is_slow: bool) -> Read:
        gate, at_gate = asyncio.Event(), list[bool]()
        if not is_slow:
            gate.set()

        async def load() -> bytes:
            seen = self.version
            at_gate.append(True)
            await gate.wait()
            return b"%d" % seen

        process = self.processes[of]
        task = self.runner.get_loop().create_task(process.through(KEY, TTL_SECONDS, load))
        return Read(process.floor, task, gate, at_gate)

    async def finish(self, reads: list[Read]) -> None:
        # A fast one may have joined a slow one's load.
        await asyncio.wait([read.task for read in reads], timeout=0.05) if reads else None
        if not all(read.task.done() for read in reads):
            self.let_all_go_on()
            reads = [*reads, *self.reads]
        for read in reads:
            answer = int(await read.task)
            assert read.floor <= answer <= self.version, (read.floor, answer, self.version)
        self.reads = [read for read in self.reads if not read.task.done()]

    def let_all_go_on(self) -> None:
        for read in self.reads:
            read.gate.set()

    def teardown(self) -> None:
        async def end() -> None:
            self.let_all_go_on()
            await self.finish(self.reads)
            for process in self.processes:
                await process.stop()

        with self.runner:
            self.runner.run(end())


@pytest.mark.hypothesis
def test_no_order_of_steps_gives_a_reader_less_than_what_was_forgotten(valkey: Valkey) -> None:
    run_state_machine_as_test(
        lambda: Interleavings(valkey),
        settings=settings(
            max_examples=one_in(2),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
