"""A breaker: after several failures in a row an exchange is left in peace for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class BreakerOpen(Exception):
    """The exchange failed too often just now; nothing was sent."""


class Breaker:
    """Counts failures of one exchange. After the rest one probe goes out; its end decides."""

    def __init__(
        self, failures_to_open: int, open_seconds: float, monotonic: Callable[[], float]
    ) -> None:
        self._failures_to_open = failures_to_open
        self._open_seconds = open_seconds
        self._monotonic = monotonic
        self._failures = 0
        self._closed_again_at: float | None = None
        self._probing = False

    @contextmanager
    def attempt(self, *failures: type[Exception]) -> Iterator[None]:
        """Count what happens inside: one of `failures` is a failure, a plain end a success.

        Anything else, such as a caller who went away, says nothing about the exchange.

        Raises:
            BreakerOpen: too many failures just now, or another probe is out.
        """
        probing = self._admit()
        try:
            yield
        except failures:
            self._count(failed=True)
            raise
        else:
            self._count(failed=False)
        finally:
            if probing:
                self._probing = False

    def _admit(self) -> bool:
        if self._closed_again_at is None:
            return False
        if self._probing or self._monotonic() < self._closed_again_at:
            raise BreakerOpen
        self._probing = True
        return True

    def _count(self, failed: bool) -> None:
        if not failed:
            self._failures, self._closed_again_at = 0, None
            return
        self._failures += 1
        if self._failures >= self._failures_to_open:
            self._closed_again_at = self._monotonic() + self._open_seconds
