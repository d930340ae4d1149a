"""Who may pass with a platform key.

What was read of a key is remembered for a moment, as sessions are: a revocation is felt at once in
this process, in another when its notice arrives, and without any notice after `STALE_SECONDS_MAX`.
Unknown, mistyped, revoked and expired keys, and keys used from elsewhere, are told alike.
"""

import hmac
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

from cachetools import TTLCache

from backend.app.audit_record import (
    Act,
    Actor,
    ActorType,
    AuditObject,
    AuditRecord,
    Caller,
    Outcome,
)
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import KeyScope, KeySigning, Role
from backend.app.errors import (
    AddressThrottled,
    Forbidden,
    KeyScopeMissing,
    SessionNeeded,
    SignatureRefused,
    Unauthenticated,
)
from backend.app.repositories.api_key_repository import ApiKeyRepository, FoundKey
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.services.address_limit import network_of
from backend.app.services.api_key_format import KeyParts, parse_key
from backend.app.services.api_key_vault import ApiKeyVault, SealedSigningSecret
from backend.app.services.envelope import EnvelopeError
from backend.app.services.gathered_reads import GatheredReads
from backend.app.services.principal import Principal
from backend.app.services.request_signature import Asked, Signed, ed25519_signed, read_signed
from backend.app.services.session_guard import STALE_SECONDS_MAX

KEYS_MAX: Final = 10_000
UNKNOWN_KEYS_PER_MINUTE_MAX: Final = 60
_NETWORKS_MAX: Final = 10_000
_RECENT_RECORDS_MAX: Final = 1_000
_MINUTE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class _Known:
    """A key as it was read, ready for the next request with it."""

    key_id: str
    prefix: str
    key_hash: bytes = field(repr=False)
    user_id: int
    username: str
    role: Role
    scopes: frozenset[KeyScope]
    networks: tuple[IPv4Network | IPv6Network, ...]
    signing: KeySigning
    public_key: bytes | None
    signing_secret: SealedSigningSecret | None
    expires_at: datetime | None
    revoked: bool

    @classmethod
    def of(cls, found: FoundKey) -> Self:
        key = found.key
        return cls(
            key_id=key.key_id,
            prefix=key.prefix,
            key_hash=key.key_hash,
            user_id=key.user_id,
            username=found.username,
            role=found.role,
            scopes=frozenset(map(KeyScope, key.permissions)),
            networks=tuple(map(ip_network, key.networks)),
            signing=KeySigning(key.signing),
            public_key=key.signing_public_key,
            signing_secret=SealedSigningSecret.of(key, found.dek),
            expires_at=key.expires_at,
            revoked=key.revoked_at is not None,
        )


class ApiKeyGuard:
    """Turns a platform key into a principal, or refuses."""

    def __init__(
        self,
        database: Database,
        vault: ApiKeyVault,
        now: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._vault = vault
        self._now = now
        self._known: TTLCache[str, _Known] = TTLCache(KEYS_MAX, STALE_SECONDS_MAX, monotonic)
        self._reads = GatheredReads(self._read, self._remember)
        self._used: set[str] = set()
        self._unknown: TTLCache[str, int] = TTLCache(_NETWORKS_MAX, _MINUTE_SECONDS, monotonic)
        self._recorded: TTLCache[tuple[str, str], bool] = TTLCache(
            _RECENT_RECORDS_MAX, _MINUTE_SECONDS, monotonic
        )

    async def admit(
        self, text: str, asked: Asked, *, request_id: str | None, address: str | None
    ) -> Principal:
        """Return whose key this is, and what it may do at the most.

        Raises:
            Unauthenticated: the key is not accepted; why not stays untold.
            SignatureRefused: it signs its requests, and this one is not signed right.
            AddressThrottled: too many unknown keys came from this address.
        """
        parts = parse_key(text)
        if parts is None:
            raise Unauthenticated(_NOT_ACCEPTED)
        known = self._known.get(parts.key_id) or await self._look_up(parts.key_id, address)
        objection = self._objection(known, parts, address)
        if objection is not None:
            await self._record_refusal(known, objection, _stranger(request_id, address))
            raise Unauthenticated(_NOT_ACCEPTED)
        if known.signing is not KeySigning.PLAIN:
            await self._check_signature(known, asked, _stranger(request_id, address))
        if len(self._used) < KEYS_MAX:
            self._used.add(known.key_id)
        return Principal(
            known.user_id,
            known.username,
            known.role,
            None,
            request_id,
            address,
            known.prefix,
            known.scopes,
        )

    async def deny(self, principal: Principal, scope: KeyScope | None, purpose: str) -> Forbidden:
        """Record that a key reached for what its scopes do not allow; return the refusal."""
        await self._record_once(
            (principal.key_prefix or "", purpose),
            AuditRecord(
                act=Act.ACCESS_DENIED,
                outcome=Outcome.DENIED,
                caller=principal.caller,
                at=self._now(),
                purpose=purpose,
                reason="scope",
            ),
        )
        if scope is None:
            return SessionNeeded("Sign in for this: no platform key may do it.")
        return KeyScopeMissing(f"This needs the scope `{scope}`.", facts={"scope": scope.value})

    def take_used(self) -> set[str]:
        """Return the ids of the keys that were used since the last time, and forget them."""
        used, self._used = self._used, set()
        return used

    def forget_key(self, key_id: str) -> None:
        """Look this key up again before it passes next."""
        self._reads.changed(key_id)
        self._known.pop(key_id, None)

    def forget_user(self, user_id: int) -> None:
        """Look every key of this user up again before it passes next."""
        self._reads.everything_changed()
        # One by one with `get`: an entry may expire between being listed and being read.
        for key_id in list(self._known):
            known = self._known.get(key_id)
            if known is not None and known.user_id == user_id:
                self._known.pop(key_id, None)

    def forget_everything(self) -> None:
        """Look every key up again: notices may have been missed."""
        self._reads.everything_changed()
        self._known.clear()

    async def _look_up(self, key_id: str, address: str | None) -> _Known:
        # Anybody can make up keys of the right form; nobody may make us ask without end for them.
        network = network_of(address or "")
        unknown = self._unknown.get(network, 0)
        if unknown >= UNKNOWN_KEYS_PER_MINUTE_MAX:
            raise AddressThrottled(
                "Too many unknown keys from your network address.",
                retry_after_seconds=_MINUTE_SECONDS,
            )
        known = await self._reads.get(key_id)
        if known is None:
            self._unknown[network] = self._unknown.get(network, 0) + 1
            raise Unauthenticated(_NOT_ACCEPTED)
        return known

    async def _read(self, key_ids: Collection[str]) -> Mapping[str, _Known]:
        async with self._database.snapshot() as session:
            found = await ApiKeyRepository(session).find(key_ids)
        return {key_id: _Known.of(each) for key_id, each in found.items()}

    def _remember(self, key_id: str, known: _Known) -> None:
        self._known[key_id] = known

    def _objection(self, known: _Known, parts: KeyParts, address: str | None) -> str | None:
        if not self._vault.matches(known.key_hash, parts, known.user_id):
            return "secret"
        if known.revoked:
            return "revoked"
        if known.expires_at is not None and known.expires_at <= self._now():
            return "expired"
        if known.networks and not _within(address, known.networks):
            return "address"
        return None

    async def _check_signature(self, known: _Known, asked: Asked, stranger: Caller) -> None:
        now = self._now()
        try:
            signed = await self._verified(known, asked, now)
        except SignatureRefused:
            await self._record_refusal(known, "signature", stranger)
            raise
        except EnvelopeError:
            await self._record_refusal(known, "unreadable", stranger)
            raise Unauthenticated(_NOT_ACCEPTED) from None
        # Only now: whoever cannot sign must not use up the nonces of somebody who can.
        async with self._database.transaction() as session:
            first = await ApiKeyRepository(session).spend_nonce(known.key_id, signed.nonce, now)
        if not first:
            await self._record_refusal(known, "replay", stranger)
            raise SignatureRefused("This X-SR-Nonce has been used.")

    async def _verified(self, known: _Known, asked: Asked, now: datetime) -> Signed:
        signed = await read_signed(asked, now.timestamp())
        if known.public_key is not None:
            right = ed25519_signed(known.public_key, signed)
        else:
            expected = await self._vault.mac(known.signing_secret, signed.message)
            right = hmac.compare_digest(expected, signed.signature)
        if not right:
            raise SignatureRefused("X-SR-Signature is not this request's.")
        return signed

    async def _record_refusal(self, known: _Known, reason: str, stranger: Caller) -> None:
        await self._record_once(
            (known.prefix, reason),
            AuditRecord(
                act=Act.API_KEY_REFUSED,
                outcome=Outcome.DENIED,
                caller=stranger,
                at=self._now(),
                object=AuditObject("api_key", known.key_id, known.user_id),
                reason=reason,
            ),
        )

    async def _record_once(self, subject: tuple[str, str], record: AuditRecord) -> None:
        # Once a minute: a program that goes on asking must not fill the trail.
        if subject in self._recorded:
            return
        self._recorded[subject] = True
        async with self._database.transaction() as session:
            await AuditRepository(session).append([record])


def _stranger(request_id: str | None, address: str | None) -> Caller:
    # Whoever is refused has not shown to be the key's person.
    return Caller(Actor(ActorType.ANONYMOUS), request_id, address)


def _within(address: str | None, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


_NOT_ACCEPTED: Final = "The platform key is not accepted."
