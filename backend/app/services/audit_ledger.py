"""What the trail says each credential must look like, and whether it does.

Every write of a credential's secret is recorded with its revision and a fingerprint of the
ciphertext. A row that was exchanged, set back, slipped in or taken away behind the house's back
differs from its last record.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from backend.app.audit_record import Act
from backend.app.services.crypto_service import ciphertext_fingerprint

# Only these are read: parsing every event would cost three times the chain (bench/audit.py).
_WRITTEN: Final = b'"ct":"'
_GONE: Final = (
    b'{"act":"' + Act.CREDENTIAL_DELETED.encode() + b'"',
    b'{"act":"' + Act.USER_DELETED.encode() + b'"',
)
# A pair that waits beside the one in use: its row is not the credential's.
_ASIDE: Final = frozenset({Act.ROTATION_STARTED, Act.ROTATION_DROPPED, Act.ROTATION_EXPIRED})


class StoredCredential(NamedTuple):
    """A credential's row, and whose its data key is."""

    id: int
    owner: int
    rev: int
    sealed: str
    dek_owner: int | None
    dek_credential: int | None


class _Written(NamedTuple):
    seq: int
    owner: int
    rev: int
    ct: str


class CredentialLedger:
    """The last recorded write of every credential that is recorded to exist."""

    def __init__(self) -> None:
        self._last: dict[int, _Written] = {}
        self._earlier: dict[int, list[str]] = {}
        self._deleted: dict[int, int] = {}
        self._of_owner: dict[int, set[int]] = {}

    def note(self, page: Iterable[Any]) -> None:
        """Take in the events of a page: rows of number, time, payload and hash."""
        for seq, _, payload, _ in page:
            if _WRITTEN in payload or payload.startswith(_GONE):
                self._note(seq, json.loads(payload))

    def compare(self, row: StoredCredential) -> Iterator[tuple[int, str]]:
        """Yield the event a stored row contradicts, and how."""
        last = self._last.pop(row.id, None)
        name = f"credential {row.id}"
        if last is None:
            deleted = self._deleted.get(row.id)
            if deleted is None:
                yield 0, f"{name} is stored, but no event tells of it"
            else:
                yield deleted, f"{name} is stored, but was deleted here"
            return
        ct = _fingerprint(row.sealed)
        if (row.owner, row.rev, ct) != (last.owner, last.rev, last.ct):
            yield last.seq, f"{name} {self._difference(row, last, ct)}"
        elif row.dek_owner != row.owner or row.dek_credential not in {row.id, None}:
            yield last.seq, f"{name} has another's data key"

    def vanished(self) -> Iterator[tuple[int, str]]:
        """Yield what is recorded to exist and was never compared."""
        for credential, last in self._last.items():
            yield last.seq, f"credential {credential} was written here, but is not stored"

    def _note(self, seq: int, event: dict[str, Any]) -> None:
        thing = event.get("object", {})
        if event["act"] == Act.USER_DELETED:
            for credential in self._of_owner.pop(thing["id"], set()):
                self._forget(seq, credential)
        elif event["act"] == Act.CREDENTIAL_DELETED:
            self._of_owner.get(thing["owner"], set()).discard(thing["id"])
            self._forget(seq, thing["id"])
        elif thing.get("type") == "credential" and event["act"] not in _ASIDE:
            before = self._last.get(thing["id"])
            if before is not None:
                self._earlier.setdefault(thing["id"], []).append(before.ct)
            self._last[thing["id"]] = _Written(seq, thing["owner"], event["rev"], event["ct"])
            self._of_owner.setdefault(thing["owner"], set()).add(thing["id"])

    def _forget(self, seq: int, credential: int) -> None:
        self._last.pop(credential, None)
        self._earlier.pop(credential, None)
        self._deleted[credential] = seq

    def _difference(self, row: StoredCredential, last: _Written, ct: str) -> str:
        if row.owner != last.owner:
            return f"belongs to user {row.owner}, but was written for user {last.owner}"
        if ct in self._earlier.get(row.id, ()):
            return f"was rolled back: stored is revision {row.rev}, written {last.rev}"
        if ct != last.ct:
            return "holds another secret than the one written here"
        return f"says revision {row.rev}, but revision {last.rev} was written here"


def _fingerprint(sealed: str) -> str:
    # A row that was tampered with may hold anything.
    return ciphertext_fingerprint(sealed) if sealed.isascii() else ""
