"""What an Idempotency-Key stands for: who asked for what, where, and what was answered."""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Final, Self

from pydantic import BaseModel

from backend.app.clock import Clock
from backend.app.errors import (
    IdempotencyInProgress,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    StrongroomError,
)
from backend.app.problems import refusal_problem
from backend.app.repositories.idempotency_repository import KeyScope
from backend.app.services.principal import Principal

KEY_LENGTH_MAX: Final = 255
# Instead of a status: what was done is not over yet, and nobody was told how it ends.
STILL_RUNNING: Final = 0
RETRY_AFTER_SECONDS: Final = 1
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")


def read_key(header: str | None) -> str | None:
    """Return the key a header carries, bare or in quotes; None if there is no header.

    Raises:
        IdempotencyKeyMissing: it carries nothing that can be a key.
    """
    if header is None:
        return None
    is_quoted = len(header) > 1 and header[0] == header[-1] == '"'
    key = header[1:-1] if is_quoted else header
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not _VISIBLE_ASCII.fullmatch(key):
        raise IdempotencyKeyMissing(
            f"Idempotency-Key takes 1 to {KEY_LENGTH_MAX} visible ASCII characters."
        )
    return key


def fingerprint(body: BaseModel) -> bytes:
    """Return the SHA-256 of a body in its one canonical form, however it was spelled."""
    canonical = json.dumps(body.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it is kept, byte for byte."""

    status: int
    body: bytes
    is_replayed: bool = False

    @classmethod
    def of(cls, shown: BaseModel, status: int) -> Self:
        """Return what is shown as an answer."""
        return cls(int(status), shown.model_dump_json().encode())

    @classmethod
    def refusing(cls, refusal: StrongroomError, request_id: str | None, now: Clock) -> Self:
        """Return a refusal as an answer."""
        said = refusal_problem(refusal, request_id or "-", now())
        return cls(refusal.status, bytes(said.body))


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request that counts once: who asks for what on which route, under which key if any."""

    principal: Principal
    route: str
    key: str | None
    fingerprint: bytes

    @property
    def scope(self) -> KeyScope | None:
        """Where the key counts."""
        if self.key is None:
            return None
        return KeyScope(self.principal.user_id, self.route, self.key)


def is_decided(refusal: StrongroomError) -> bool:
    """Say whether a refusal is an answer for good, rather than "not now"."""
    return refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR and refusal.status != (
        HTTPStatus.TOO_MANY_REQUESTS
    )


def refuse_other(kept: bytes, asked: bytes) -> None:
    """Let the same request pass.

    Raises:
        IdempotencyKeyReused: it is another.
    """
    if kept != asked:
        raise reused()


def reused() -> IdempotencyKeyReused:
    """Return the refusal of a key that came with something else before."""
    return IdempotencyKeyReused("Another request came with this Idempotency-Key. Take a new one.")


def in_progress() -> IdempotencyInProgress:
    """Return the refusal of a request whose double is under way."""
    return IdempotencyInProgress(
        "The same request is under way; ask again for its answer.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
