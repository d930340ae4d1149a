"""Ending tasks that talk to Redis."""

import asyncio
from typing import Any, Final

REPEAT_SECONDS: Final = 0.2


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks, again and again until each has ended.

    Once may not do: a cancellation that comes just when the server answers is swallowed. Source:
    redis-py waits by `asyncio.wait_for`, which does that before Python 3.12 (cpython issue 86296).
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=REPEAT_SECONDS)
