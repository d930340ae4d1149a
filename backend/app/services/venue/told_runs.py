"""One channel that tells everything in runs: each message what came since the one before it."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from backend.app.services.venue.feed_news import TOLD_AT_ONCE_MAX

Id = tuple[int, ...]
Body = Mapping[str, Any]


class Run(NamedTuple):
    """What one message has told, the newest last; `more` if there was more to tell."""

    seq: int
    told: Sequence[Body]
    more: bool


class ToldRuns:
    """The runs of a channel, compared as the things they are about come about anew.

    Where a message is the first one that is kept, but not the first there was, nobody knows where
    the one before it ended: then its length is taken for granted.
    """

    def __init__(
        self, channel: str, ids: Sequence[str], runs: Sequence[Run], *, only_these: bool
    ) -> None:
        self._channel = channel
        self._ids = ids
        # Whether `more` is about nothing else.
        self._only_these = only_these
        self._runs = deque(run for run in runs if run.told)
        self._is_begin_known = bool(runs) and runs[0].seq == 1
        # One more than is ever told: who trades with himself has two sides of one trade, and
        # where a message is cut between them, either may be left out.
        self._since: deque[tuple[Id, Callable[[], Body]]] = deque(maxlen=TOLD_AT_ONCE_MAX + 1)
        self._count = 0

    def add(self, number: Id, shown: Callable[[], Body]) -> str | None:
        """Note what came about; return the first difference of a message it ends, in words."""
        self._since.append((number, shown))
        self._count += 1
        if self._runs and number == self._last(self._runs[0]):
            return self._compare(self._runs.popleft())
        return None

    def missing(self, told_until: int) -> str | None:
        """Return, in words, what was not told although the feed is past it, or never happened."""
        for run in self._runs:
            return f"message {run.seq} of {self._channel} tells of what never happened"
        if self._is_begin_known and self._since and self._since[0][0][0] <= told_until:
            return f"{self._channel} does not tell of {self._named(self._since[0][0])}"
        return None

    def _compare(self, run: Run) -> str | None:
        is_cut = self._count > len(run.told)
        due, told = self._due(run), list(map(in_bytes, run.told))
        where = f"message {run.seq} of {self._channel}"
        for (number, expected), found in zip(due, told, strict=False):
            if expected != found:
                return f"{where} tells otherwise of {self._named(number)}"
        if len(due) < len(told):
            return f"{where} tells of what was told before"
        is_right = run.more == is_cut if self._only_these else run.more or not is_cut
        if self._is_begin_known and not is_right:
            return f"{where} leaves out some of what happened"
        self._since.clear()
        self._count = 0
        self._is_begin_known = True
        return None

    def _due(self, run: Run) -> list[tuple[Id, bytes]]:
        since, first = list(self._since), in_bytes(run.told[0])
        due = [(number, in_bytes(shown())) for number, shown in since[-len(run.told) :]]
        before = since[: -len(run.told)]
        if before and before[-1][0][0] == due[0][0][0] and due[0][1] != first:
            number, shown = before[-1]
            due[0] = number, in_bytes(shown())
        return due

    def _last(self, run: Run) -> Id:
        return tuple(run.told[-1][name] for name in self._ids)

    def _named(self, number: Id) -> str:
        return ", ".join(f"{name} {each}" for name, each in zip(self._ids, number, strict=True))


def in_bytes(body: Any) -> bytes:
    """Return a body in the one form in which equal ones are equal byte for byte."""
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
