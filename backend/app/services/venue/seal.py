"""Marks what the processes of a venue send through Redis, so that nobody else can have sent it.

A mark holds for one place: a mailbox, or the leader of one shard. What somebody else wrote, cut
or moved to another place does not open. That it comes twice is for its reader to live with.
"""

import hmac
from typing import Final

from backend.app.services.keyed_hash import KeyedHash

_MARK_BYTES: Final = 32


class LetterForged(Exception):
    """Nobody of this installation has written this, here."""


class Seal:
    """The mark of one installation: every process of it has the same key."""

    def __init__(self, marks: KeyedHash) -> None:
        self._marks = marks

    def close(self, place: str, body: bytes) -> bytes:
        """Return a letter for this place."""
        return self._marks.digest(place, body) + body

    def open(self, place: str, letter: bytes) -> bytes:
        """Return what was written for this place.

        Raises:
            LetterForged: not by us, or not for here.
        """
        mark, body = letter[:_MARK_BYTES], letter[_MARK_BYTES:]
        if not hmac.compare_digest(mark, self._marks.digest(place, body)):
            raise LetterForged
        return body
