"""Anchors: signed statements of where the chain was, kept where its table's writer cannot reach.

Whoever can write to the database can make the whole chain anew, but not sign for it.

Source: docs/ARCHITECTURE.md, "Audit trail".
"""

import json
import re
from datetime import datetime
from typing import Final, NamedTuple, Self

from backend.app.audit_chain import Head
from backend.app.audit_record import stamp

ANCHOR_EVENTS_MAX: Final = 1_000
ANCHOR_SECONDS_MAX: Final = 10.0
_MARK: Final = b"sr-anchor/1\0"
_SEQ_MAX: Final = 2**63 - 1
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")


class Anchor(NamedTuple):
    """The hash of one event, signed."""

    seq: int
    hash: bytes
    at: datetime
    signature: bytes

    def line(self) -> str:
        """Return the anchor as it stands in the file and in the log."""
        return json.dumps(
            {
                "seq": self.seq,
                "hash": self.hash.hex(),
                "at": stamp(self.at),
                "signature": self.signature.hex(),
            },
            separators=(",", ":"),
        )

    @classmethod
    def read(cls, line: str) -> Self | None:
        """Return the anchor a line of the file, or of the log, holds; None if it holds none."""
        told = _json(line)
        if isinstance(told, dict) and isinstance(told.get("anchor"), str):
            told = _json(told["anchor"])
        if not isinstance(told, dict):
            return None
        seq, shown, signature = told.get("seq"), told.get("hash"), told.get("signature")
        if type(seq) is not int or not 0 < seq <= _SEQ_MAX:
            return None
        if not _HASH.fullmatch(str(shown)) or not _SIGNATURE.fullmatch(str(signature)):
            return None
        try:
            at = datetime.fromisoformat(str(told.get("at")))
        except ValueError:
            return None
        return cls(seq, bytes.fromhex(str(shown)), at, bytes.fromhex(str(signature)))


def signed_bytes(head: Head) -> bytes:
    """Return what an anchor of this head signs."""
    return _MARK + head.seq.to_bytes(8, "big") + head.hash


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
