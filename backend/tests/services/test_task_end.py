"""Tasks end, although they may miss that they were told to."""

import asyncio
from contextlib import suppress

from backend.app.services.task_end import end


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            swallowed += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await end(task)

    assert task.cancelled()
    assert swallowed == 2


async def test_what_has_ended_needs_no_end() -> None:
    async def brief() -> None:
        """End at once."""

    task = asyncio.create_task(brief())
    await task
    await end(task)
    await end()
