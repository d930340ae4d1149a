"""No instance seals with a root key that another running instance could not open.

Every instance says in the database which keys it holds, and again every few seconds. A new first
key stays pending until all that run hold it; then it becomes the one that seals, for all of them.
"""

import os
import secrets
import socket
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import SYSTEM, Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.errors import ConfigurationError
from backend.app.models.kek import Kek, KekState
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.instance_key_repository import InstanceKeyRepository
from backend.app.repositories.kek_repository import KekRepository
from backend.app.services.key_ring import KeyRing

_HOST_CHARACTERS_MAX: Final = 40


def new_instance_name() -> str:
    """Name this process as an operator would look for it: machine, process, and a mark."""
    return f"{socket.gethostname()[:_HOST_CHARACTERS_MAX]}:{os.getpid()}:{secrets.token_hex(2)}"


class KeyInstances:
    """What this instance holds, beside what the others hold."""

    def __init__(self, key_ring: KeyRing, instance: str, now: Clock) -> None:
        self._key_ring = key_ring
        self._instance = instance
        self._now = now

    async def report(self, session: AsyncSession) -> None:
        """Say what this instance can open."""
        kids = [key.kid for key in self._key_ring.keys]
        await InstanceKeyRepository(session).report(self._instance, kids)

    async def forget(self, session: AsyncSession) -> None:
        """Say that this instance is no more."""
        await InstanceKeyRepository(session).forget(self._instance)

    async def settle(self, session: AsyncSession) -> None:
        """Seal with the active key; make ours active first if it is new and everybody holds it.

        Only a key that never sealed becomes active by itself: two instances that put their keys
        in another order would otherwise take turns.

        Raises:
            ConfigurationError: others seal with a key that is not at hand here.
        """
        keks, wanted = KekRepository(session), self._key_ring.keys[0].kid
        active = await keks.active()
        if active != wanted and await self._may_activate(session, active):
            # Two starts could otherwise both find that everybody agrees with them.
            await keks.lock()
            await activate(session, wanted, SYSTEM, self._now)
            active = wanted
        if active is None or self._key_ring.get(active) is None:
            raise ConfigurationError(
                f"The root key {active} is the one that seals, other instances hold it, and it is "
                "not configured here: this instance could not open what they seal. Add it."
            )
        self._key_ring.seal_with(active)

    async def _may_activate(self, session: AsyncSession, active: str | None) -> bool:
        known = {kek.kid: kek for kek in await KekRepository(session).list()}
        wanted = known[self._key_ring.keys[0].kid]
        is_at_hand = active is not None and self._key_ring.get(active) is not None
        if wanted.state != KekState.PENDING and is_at_hand:
            return False
        lacking = await InstanceKeyRepository(session).lacking(wanted.kid)
        others = set(await InstanceKeyRepository(session).live()) - {self._instance}
        # An active key nobody here or elsewhere holds any more is simply left behind.
        return not lacking and (is_at_hand or active is None or not others)


async def activate(session: AsyncSession, kid: str, caller: Caller, now: Clock) -> None:
    """Make a root key the one that seals, on the record; the one before only opens from now on."""
    if not await KekRepository(session).activate(kid, now()):
        return
    await AuditRepository(session).append([key_event(Act.KEY_ACTIVATED, kid, caller, now)])


def key_event(act: Act, kid: str, caller: Caller, now: Clock, n: int | None = None) -> AuditRecord:
    """Return what the audit trail says of an act on a root key."""
    return AuditRecord(
        act=act,
        outcome=Outcome.DONE,
        caller=caller,
        at=now(),
        object=AuditObject("kek", kid),
        kid=kid,
        n=n,
    )


def refuse_retired(kek: Kek | None) -> None:
    """Refuse a start whose first key was retired.

    Raises:
        ConfigurationError: it was.
    """
    if kek is not None and kek.state in {KekState.RETIRED, KekState.DESTROYED}:
        raise ConfigurationError(
            f"The root key {kek.kid} is retired and seals no more. Put another first."
        )
