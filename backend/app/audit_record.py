"""What the audit trail says of one event: an allow list, and nothing a person or exchange wrote.

Every text is a short word of letters, digits and a few marks. A sentence, a body or an exchange's
error text cannot be recorded, by construction; secrets have no field to be in.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

_WORD: Final = re.compile(r"[A-Za-z0-9_.:/%-]{1,64}")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,15})?")


class Act(StrEnum):
    """What was done, or tried."""

    LOGIN = "session.login"
    LOGOUT = "session.logout"
    REFRESH_REUSED = "session.refresh_reused"
    SESSIONS_REVOKED = "session.revoked"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_DELETED = "user.deleted"
    USER_READ = "user.read"
    PASSWORD_CHANGED = "user.password_changed"  # noqa: S105 - the name of an act
    ROLE_CHANGED = "user.role_changed"
    CREDENTIAL_CREATED = "credential.created"
    CREDENTIAL_UPDATED = "credential.updated"
    CREDENTIAL_VERIFIED = "credential.verified"
    CREDENTIAL_USED = "credential.used"
    CREDENTIAL_DELETED = "credential.deleted"
    CREDENTIAL_SHREDDED = "credential.shredded"
    ACCESS_DENIED = "access.denied"
    KEY_ACTIVATED = "key.activated"


class Outcome(StrEnum):
    """How it ended, or that it was let through."""

    ALLOWED = "allowed"
    DENIED = "denied"
    DONE = "done"
    FAILED = "failed"


class ActorType(StrEnum):
    """Who acts."""

    USER = "user"
    SERVICE = "service"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, and in which session or with which key of ours."""

    type: ActorType
    id: int | str | None = None
    session: str | None = None
    key_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, in which request and from where: handed down with every use of the vault."""

    actor: Actor
    request_id: str | None = None
    address: str | None = None


SYSTEM: Final = Caller(Actor(ActorType.SYSTEM))


@dataclass(frozen=True, slots=True)
class AuditObject:
    """What it was done to, and whose that is."""

    type: str
    id: int | str
    owner: int | None = None


class WrittenRecord(NamedTuple):
    """An event as the trail keeps it."""

    at: datetime
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One event. `ct` is the fingerprint of a new ciphertext, `n` a count."""

    act: Act
    outcome: Outcome
    caller: Caller
    at: datetime
    object: AuditObject | None = None
    field: str | None = None
    purpose: str | None = None
    reason: str | None = None
    kid: str | None = None
    rev: int | None = None
    ct: str | None = None
    n: int | None = None

    def written(self) -> WrittenRecord:
        """Return the record in the form that is stored and hashed.

        Raises:
            ValueError: a text is not a short word.
        """
        return WrittenRecord(self.at, self.payload())

    def payload(self) -> bytes:
        """Return the record as canonical JSON: sorted keys, no spaces, UTF-8, nothing absent.

        The time stands in it too, so that the chain covers every column of its row.

        Raises:
            ValueError: a text is not a short word.
        """
        caller, actor, thing = self.caller, self.caller.actor, self.object
        facts = {
            "act": self.act,
            "actor": _present(
                type=actor.type, id=actor.id, session=actor.session, key_prefix=actor.key_prefix
            ),
            "at": stamp(self.at),
            "object": thing and _present(type=thing.type, id=thing.id, owner=thing.owner),
            "field": self.field,
            "purpose": self.purpose,
            "outcome": self.outcome,
            "reason": self.reason,
            "req": caller.request_id,
            "ip": _address(caller.address),
            "kid": self.kid,
            "rev": self.rev,
            "ct": self.ct,
            "n": self.n,
        }
        canonical = json.dumps(
            _present(**facts), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return canonical.encode("utf-8")


def stamp(at: datetime) -> str:
    """Return a moment as the trail writes it: UTC, to the microsecond.

    Raises:
        ValueError: the moment does not say in which zone it is.
    """
    if at.tzinfo is None:
        raise ValueError("a moment in the audit trail needs its zone")
    in_utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _address(told: str | None) -> str | None:
    # Behind a proxy the address is what a header says, and a header may say anything. Whoever sends
    # nonsense is recorded all the same.
    return told if told is None or _ADDRESS.fullmatch(told) else "unreadable"


def _present(**facts: Any) -> dict[str, Any]:
    """Drop what is absent and refuse what is no word."""
    present = {name: value for name, value in facts.items() if value is not None}
    for name, value in present.items():
        if isinstance(value, str) and not _WORD.fullmatch(value):
            raise ValueError(f"{name} of an audit record is not a short word")
    return present
