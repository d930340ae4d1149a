"""How far an exchange's clock is from ours: what its time call says, kept for a minute.

Source: docs/decisions/0014-key-passport.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

KEPT_SECONDS: Final = 60.0
# Milliseconds since 1970 beyond the year 9999: no clock shows that.
_MOMENT_MAX_MS: Final = 253_402_300_800_000


@dataclass(frozen=True, slots=True)
class TimeCall:
    """A public call that tells the time, and where in its answer the milliseconds stand."""

    method: str
    path: tuple[str | int, ...]

    def read_ms(self, value: Any) -> int | None:
        """Return the exchange's time, or None where the answer does not hold it."""
        for step in self.path:
            value = _step(value, step)
        text = str(value)
        digits = isinstance(value, int | str) and text.isascii() and text.isdigit()
        if not digits or len(text) > len(str(_MOMENT_MAX_MS)):
            return None
        return int(text) if int(text) < _MOMENT_MAX_MS else None


@dataclass(frozen=True, slots=True)
class _Reading:
    offset_ms: int
    kept_until: float


class ExchangeClocks:
    """The newest reading of each exchange's clock, shared by every passport of a minute."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._readings: dict[str, _Reading] = {}

    def offset_ms(self, exchange: str) -> int | None:
        """Return how far the exchange's clock is ahead of ours, if that was read just now."""
        reading = self._readings.get(exchange)
        if reading is None or reading.kept_until < self._monotonic():
            return None
        return reading.offset_ms

    def keep(self, exchange: str, offset_ms: int) -> None:
        """Remember a reading for a minute."""
        self._readings[exchange] = _Reading(offset_ms, self._monotonic() + KEPT_SECONDS)


def _step(value: Any, step: str | int) -> Any:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, dict) else None
    return value[step] if isinstance(value, list) and len(value) > step else None
