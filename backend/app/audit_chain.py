"""The chain that holds the audit trail together: each link's hash covers all links before it.

Pure. Changing, removing, adding or reordering a row breaks the chain at that row; cutting off its
end leaves it shorter than its head.

Source: docs/ARCHITECTURE.md, "Audit trail".
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from backend.app.audit_record import stamp

CHAIN: Final = "main"
"""The one chain of a deployment."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain, or of a part of it."""

    seq: int
    hash: bytes


GENESIS: Final = Head(0, bytes(32))


class Link(Protocol):
    """A row of the trail."""

    @property
    def seq(self) -> int: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def payload(self) -> bytes: ...  # noqa: D102
    @property
    def hash(self) -> bytes: ...  # noqa: D102


def extend(head: Head, payload: bytes) -> Head:
    """Return the head after one more payload."""
    seq = head.seq + 1
    return Head(
        seq,
        hashlib.sha256(
            b"sr-audit/1\0"
            + head.hash
            + seq.to_bytes(8, "big")
            + len(payload).to_bytes(4, "big")
            + payload
        ).digest(),
    )


def verify_chain(links: Iterable[Link], after: Head = GENESIS) -> int | None:
    """Return the number of the first link that is not as it was written, or None.

    Links come in the order of their numbers and go on where `after` ends, so that a long trail
    can be proved page by page.
    """
    head = after
    for link in links:
        head = extend(head, link.payload)
        # In JSON a quote inside a text is escaped, so these bytes are the time's member only.
        told = b'"at":"%b"' % stamp(link.at).encode("ascii")
        if (link.seq, link.hash) != (head.seq, head.hash) or told not in link.payload:
            return head.seq
    return None
