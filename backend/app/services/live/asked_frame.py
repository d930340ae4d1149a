"""Frames as they come in: read, or refused without repeating what was sent."""

import time
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError

from backend.app.errors import FrameMalformed
from backend.app.schemas.live_schemas import ASKED_FRAME, AskedFrame

FRAMES_PER_SECOND_MAX: Final = 20
# Whoever comes back subscribes to everything at once.
FRAMES_AT_ONCE_MAX: Final = 100


def read_frame(text: str) -> AskedFrame:
    """Return what a client asks.

    Raises:
        FrameMalformed: it is no JSON, or none of the frames there are.
    """
    try:
        return ASKED_FRAME.validate_json(text)
    except ValidationError as refused:
        kinds = sorted({error["type"] for error in refused.errors(include_input=False)})
        raise FrameMalformed(f"Not a frame of this protocol: {', '.join(kinds)}.") from None


class FrameAllowance:
    """How often one connection may ask: so many a second, and some at once after a pause."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left = float(FRAMES_AT_ONCE_MAX)
        self._counted_at = monotonic()

    def take(self) -> bool:
        """Take one frame off; False when there is none left."""
        now = self._monotonic()
        gained = (now - self._counted_at) * FRAMES_PER_SECOND_MAX
        self._left = min(FRAMES_AT_ONCE_MAX, self._left + gained)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
