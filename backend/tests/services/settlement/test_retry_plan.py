"""When a payout is tried again."""

from datetime import UTC, datetime

import pytest

from backend.app.services.settlement.retry_plan import (
    JITTER_MAX,
    PAUSE_MAX,
    PAUSE_MIN,
    TRIES_MAX,
    next_look,
    next_try,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_pauses_double_up_to_a_bound_and_end(chance: float) -> None:
    tried = [next_try(tries, NOW, chance) for tries in range(1, TRIES_MAX + 1)]

    pauses = [at - NOW for at in tried[:-1] if at is not None]
    assert tried[-1] is None
    assert len(pauses) == TRIES_MAX - 1
    assert pauses == sorted(pauses)
    assert PAUSE_MIN <= pauses[0] <= PAUSE_MIN * (1 + JITTER_MAX)
    assert pauses[-1] <= PAUSE_MAX * (1 + JITTER_MAX)


def test_what_failed_together_does_not_come_back_together() -> None:
    assert next_try(3, NOW, 0.0) != next_try(3, NOW, 0.9)
    assert next_look(NOW, 0.0) != next_look(NOW, 0.9)
