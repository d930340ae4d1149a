"""A world whose coroutines never wait, asked as if they were plain calls."""

from collections.abc import Coroutine
from inspect import iscoroutine
from typing import Any


class AtOnce:
    """Stands for a world. Whatever is asked of it is answered at once, or the test fails."""

    def __init__(self, world: Any) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._world, name)

        def answered(*args: Any, **kwargs: Any) -> Any:
            answer = asked(*args, **kwargs)
            return _done(answer) if iscoroutine(answer) else answer

        return answered if callable(asked) else asked


def _done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        return stopped.value
    coroutine.close()
    raise AssertionError("it waits")
