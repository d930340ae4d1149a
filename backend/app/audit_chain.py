"""The chain that holds the audit trail together: each link's hash covers all links before it.

Pure. Changing, removing, adding or reordering a row breaks the chain at that row; cutting off its
end leaves it shorter than its head.

Source: docs/ARCHITECTURE.md, "Audit trail".
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from backend.app.audit_record import stamp

CHAIN: Final = "main"
"""The one chain of a deployment."""

_MARK: Final = b"sr-audit/1\0"
# The hash before, the number of this link, the length of its payload.
_FRAME: Final = Struct(">32sQI").pack


class Head(NamedTuple):
    """The end of a chain, or of a part of it."""

    seq: int
    hash: bytes


GENESIS: Final = Head(0, bytes(32))


Link = tuple[int, datetime, bytes, bytes]
"""A row of the trail: its number, its time, its payload and its hash."""


def extend(head: Head, payload: bytes) -> Head:
    """Return the head after one more payload."""
    seq = head.seq + 1
    framed = _MARK + _FRAME(head.hash, seq, len(payload)) + payload
    return Head(seq, sha256(framed).digest())


def extended(head: Head, payloads: Sequence[bytes]) -> list[Head]:
    """Return the head after each of these payloads."""
    heads = []
    for payload in payloads:
        head = extend(head, payload)
        heads.append(head)
    return heads


def verify_chain(links: Iterable[Link], after: Head = GENESIS) -> int | None:
    """Return the number of the first link that is not as it was written, or None.

    Links come in the order of their numbers and go on where `after` ends, so that a long trail
    can be proved page by page.
    """
    seq, previous = after
    for told_seq, at, payload, told_hash in links:
        # Unfolded, because it is done for every row of a long trail (bench/audit.py).
        seq += 1
        framed = _MARK + _FRAME(previous, seq, len(payload)) + payload
        previous = sha256(framed).digest()
        # In JSON a quote inside a text is escaped, so these bytes are the time's member only.
        told_at = f'"at":"{stamp(at)}"'.encode("ascii")
        if told_seq != seq or told_hash != previous or told_at not in payload:
            return seq
    return None
