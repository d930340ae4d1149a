"""What the audit trail says of one event: an allow list, and nothing a person or exchange wrote.

Every text is a short word of letters, digits and a few marks. A sentence, a body or an exchange's
error text cannot be recorded, by construction; secrets have no field to be in.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

_WORD: Final = re.compile(r"[A-Za-z0-9_.:/%-]{1,64}")
_WORDS: Final = re.compile(r"(?:[A-Za-z0-9_.:/%-]{1,64}\n)*[A-Za-z0-9_.:/%-]{1,64}")
# The members of a payload whose text comes from the code around, in the order of `_texts`.
_TEXTS: Final = (
    *("type", "id", "session", "key_prefix", "req", "type", "id"),
    *("field", "purpose", "reason", "kid", "ct"),
)
_STAMP_LENGTH: Final = len("2026-11-21T10:30:00.000005")
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
    CREDENTIAL_SHARED = "credential.shared"
    CREDENTIAL_DEACTIVATED = "credential.deactivated"
    CREDENTIAL_REACTIVATED = "credential.reactivated"
    ROTATION_STARTED = "credential.rotation_started"
    ROTATION_DROPPED = "credential.rotation_dropped"
    ROTATION_EXPIRED = "credential.rotation_expired"
    CREDENTIAL_ROTATED = "credential.rotated"
    CREDENTIAL_ROLLED_BACK = "credential.rolled_back"
    CREDENTIAL_RESTORED = "credential.restored"
    CREDENTIAL_IMPORTED = "credential.imported"
    VAULT_EXPORTED = "vault.exported"
    VAULT_IMPORTED = "vault.imported"
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"
    API_KEY_REFUSED = "api_key.refused"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105 - the name of an act
    WEBHOOK_DELETED = "webhook.deleted"
    ACCESS_DENIED = "access.denied"
    KEY_ACTIVATED = "key.activated"
    KEY_REWRAPPED = "key.rewrapped"
    KEY_RETIRED = "key.retired"
    KEY_DESTROYED = "key.destroyed"
    KEYS_VERIFIED = "key.verified"
    AUDIT_READ = "audit.read"
    MERCHANT_APPLIED = "merchant.applied"
    MERCHANT_READ = "merchant.read"
    MERCHANT_APPROVED = "merchant.approved"
    MERCHANT_LIMIT_CHANGED = "merchant.limit_changed"
    MERCHANT_SUSPENDED = "merchant.suspended"
    MERCHANT_RESUMED = "merchant.resumed"
    POOL_CREATED = "pool.created"
    POOL_TOPPED_UP = "pool.topped_up"
    POOL_DRAWN_DOWN = "pool.drawn_down"
    WITHDRAWAL_REQUESTED = "withdrawal.requested"
    WITHDRAWAL_SETTLING = "withdrawal.settling"
    WITHDRAWAL_SETTLED = "withdrawal.settled"
    WITHDRAWAL_UNKNOWN = "withdrawal.unknown"
    WITHDRAWAL_GIVEN_BACK = "withdrawal.given_back"
    WITHDRAWAL_REQUEUED = "withdrawal.requeued"
    ALARM_MANY_CREDENTIALS = "alarm.many_credentials"


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
        self._refuse_sentences()
        caller, thing = self.caller, self.object
        # Composed by hand, because it is done before every use of a secret and costs a fifth of
        # the encoder's time (bench/audit.py). Whatever stands between quotes is a word by now.
        return (
            f'{{"act":"{self.act}","actor":{{{_members(caller.actor)}}},"at":"{stamp(self.at)}"'
            f"{_text('ct', self.ct)}{_text('field', self.field)}"
            f"{_text('ip', _address(caller.address))}{_text('kid', self.kid)}"
            f"{_number('n', self.n)}{_object(thing)}"
            f',"outcome":"{self.outcome}"{_text("purpose", self.purpose)}'
            f"{_text('reason', self.reason)}{_text('req', caller.request_id)}"
            f"{_number('rev', self.rev)}}}"
        ).encode("ascii")

    def _refuse_sentences(self) -> None:
        """Look at all texts at once, and for the one to blame only if there is one."""
        every = self._texts()
        texts = [text for text in every if text is not None]
        joined = "\n".join(texts)
        if not _WORDS.fullmatch(joined) or joined.count("\n") != len(texts) - 1:
            for name, text in zip(_TEXTS, every, strict=True):
                if text is not None and not _WORD.fullmatch(text):
                    raise ValueError(f"{name} of an audit record is not a short word")

    def _texts(self) -> tuple[str | None, ...]:
        actor, thing = self.caller.actor, self.object
        return (
            actor.type,
            actor.id if isinstance(actor.id, str) else None,
            actor.session,
            actor.key_prefix,
            self.caller.request_id,
            None if thing is None else thing.type,
            thing.id if thing is not None and isinstance(thing.id, str) else None,
            self.field,
            self.purpose,
            self.reason,
            self.kid,
            self.ct,
        )


def stamp(at: datetime) -> str:
    """Return a moment as the trail writes it: UTC, to the microsecond.

    Raises:
        ValueError: the moment does not say in which zone it is.
    """
    if at.tzinfo is None:
        raise ValueError("a moment in the audit trail needs its zone")
    in_utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return in_utc.isoformat("T", "microseconds")[:_STAMP_LENGTH] + "Z"


def _address(told: str | None) -> str | None:
    # Behind a proxy the address is what a header says, and a header may say anything. Whoever sends
    # nonsense is recorded all the same.
    return told if told is None or _ADDRESS.fullmatch(told) else "unreadable"


def _members(actor: Actor) -> str:
    known = "" if actor.id is None else f'"id":{_literal(actor.id)},'
    prefix = "" if actor.key_prefix is None else f'"key_prefix":"{actor.key_prefix}",'
    session = "" if actor.session is None else f'"session":"{actor.session}",'
    return f'{known}{prefix}{session}"type":"{actor.type}"'


def _object(thing: AuditObject | None) -> str:
    if thing is None:
        return ""
    owner = "" if thing.owner is None else f'"owner":{thing.owner:d},'
    return f',"object":{{"id":{_literal(thing.id)},{owner}"type":"{thing.type}"}}'


def _literal(name: int | str) -> str:
    return f'"{name}"' if isinstance(name, str) else f"{name:d}"


def _text(name: str, value: str | None) -> str:
    return "" if value is None else f',"{name}":"{value}"'


def _number(name: str, value: int | None) -> str:
    return "" if value is None else f',"{name}":{value:d}'
