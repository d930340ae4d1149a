"""The life of root keys: which there are, which one seals, which is done with."""

from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, Caller
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import (
    KeyInUse,
    KeyNotAtHand,
    KeyNotEverywhere,
    KeyRetired,
    KeyUnknown,
)
from backend.app.models.kek import Kek, KekState
from backend.app.models.key_rewrap import KeyRewrap, RewrapState
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.instance_key_repository import InstanceKeyRepository
from backend.app.repositories.kek_repository import KekRepository
from backend.app.repositories.key_rewrap_repository import KeyRewrapRepository
from backend.app.schemas.key_schemas import DoomedKey, RootKeyInfo, RotationProgress
from backend.app.services.key_instances import activate, key_event
from backend.app.services.key_ring import KeyRing

# Backups are kept for 35 days; then nothing that only this key opens is left to lose.
DESTROYED_AFTER: Final = timedelta(days=40)


class KeyService:
    """What an operator does with root keys. It sees names and check values, never a key."""

    def __init__(self, database: Database, key_ring: KeyRing, now: Clock) -> None:
        self._database = database
        self._key_ring = key_ring
        self._now = now

    async def list(self) -> list[RootKeyInfo]:
        """Return every root key this database has met: a start makes the configured ones known."""
        async with self._database.snapshot() as session:
            live = await InstanceKeyRepository(session).live()
            met = await KekRepository(session).list()
            counts = {kek.kid: await DekRepository(session).count(kek.kid) for kek in met}
        return [self._info(kek, counts[kek.kid], live) for kek in met]

    async def rotate(self, kid: str | None, caller: Caller) -> str:
        """Seal with a root key from now on, by default with the first at hand; return its name.

        Running instances follow within seconds.

        Raises:
            KeyUnknown: no instance was ever started with it.
            KeyNotAtHand: it is not configured here.
            KeyRetired: it was retired.
            KeyNotEverywhere: a running instance does not hold it; the text names which.
        """
        wanted = kid or self._key_ring.keys[0].kid
        async with self._database.transaction() as session:
            keks = KekRepository(session)
            await keks.lock()
            kek = await self._known(keks, wanted)
            if kek.state not in {KekState.PENDING, KekState.ACTIVE, KekState.DECRYPT_ONLY}:
                raise KeyRetired(f"The root key {wanted} is {kek.state} and seals no more.")
            self._refuse_absent(kek)
            lacking = await InstanceKeyRepository(session).lacking(wanted)
            if lacking:
                raise KeyNotEverywhere(
                    f"{', '.join(lacking)} could not open what {wanted} seals. "
                    "Start these instances again with the new key first, then repeat."
                )
            await activate(session, wanted, caller, self._now)
        return wanted

    async def retire(self, kid: str, caller: Caller) -> None:
        """Take a root key out of use; then it may be removed from the configuration.

        Raises:
            KeyUnknown: this database has not met it.
            KeyInUse: it seals, data keys lie under it, or a rewrap moves keys to it.
        """
        async with self._database.transaction() as session:
            keks = KekRepository(session)
            await keks.lock()
            await self._known(keks, kid)
            kek = await keks.hold(kid)
            if kek is None or kek.state == KekState.ACTIVE:
                raise KeyInUse(f"{kid} is the root key that seals. Rotate to another first.")
            if kek.state in {KekState.RETIRED, KekState.DESTROYED}:
                return
            if (count := await DekRepository(session).count(kid)) > 0:
                raise KeyInUse(f"{count} data keys lie under {kid}. Move them first: keys rewrap")
            running = await KeyRewrapRepository(session).running()
            if running is not None and running.to_kid == kid:
                raise KeyInUse(f"A rewrap moves data keys to {kid}. Let it finish: keys rewrap")
            await keks.retire(kid, self._now())
            event = key_event(Act.KEY_RETIRED, kid, caller, self._now)
            await AuditRepository(session).append([event])

    async def doomed(self, kid: str, *, early: bool = False) -> DoomedKey:
        """Return what goes with a retired root key, if it may be destroyed now.

        Raises:
            KeyUnknown: this database has not met it.
            KeyInUse: it is not retired, still configured somewhere, or retired too short a while.
        """
        async with self._database.snapshot() as session:
            return await self._doomed(session, kid, early=early)

    async def destroy(self, kid: str, caller: Caller, *, early: bool = False) -> DoomedKey:
        """Write down that a retired root key exists no more; nothing here knows it any longer.

        Raises:
            KeyUnknown: this database has not met it.
            KeyInUse: it is not retired, still configured somewhere, or retired too short a while.
        """
        async with self._database.transaction() as session:
            keks = KekRepository(session)
            await keks.lock()
            doomed = await self._doomed(session, kid, early=early)
            if doomed.destroyed_at is None:
                await keks.destroy(kid, self._now())
                event = key_event(Act.KEY_DESTROYED, kid, caller, self._now)
                await AuditRepository(session).append([event])
        return doomed

    async def rotation(self) -> RotationProgress:
        """Return how far the rewrap under way is, or how the last one ended."""
        async with self._database.snapshot() as session:
            job = await KeyRewrapRepository(session).latest()
        return RotationProgress() if job is None else progress_of(job)

    async def _doomed(self, session: AsyncSession, kid: str, *, early: bool) -> DoomedKey:
        kek = await self._known(KekRepository(session), kid)
        doomed = DoomedKey.model_validate(kek, from_attributes=True)
        if kek.state == KekState.DESTROYED:
            return doomed
        if kek.state != KekState.RETIRED or kek.retired_at is None:
            raise KeyInUse(f"{kid} is {kek.state}. Retire it first: keys retire {kid}")
        live = await InstanceKeyRepository(session).live()
        holders = [instance for instance, kids in live.items() if kid in kids]
        if self._key_ring.get(kid) is not None or holders:
            raise KeyInUse(
                f"{kid} is still configured {', '.join(holders) or 'here'}. Take it out first."
            )
        may_go_at = kek.retired_at + DESTROYED_AFTER
        if self._now() < may_go_at and not early:
            raise KeyInUse(
                f"{kid} was retired on {kek.retired_at:%Y-%m-%d}; backups from before open with it "
                f"alone. Wait until {may_go_at:%Y-%m-%d}, or say --early."
            )
        return doomed

    async def _known(self, keks: KekRepository, kid: str) -> Kek:
        for kek in await keks.list():
            if kek.kid == kid:
                return kek
        raise KeyUnknown(
            f"No root key {kid} is known here. Put it into the configuration of every instance and "
            "start each again: an instance that starts makes its keys known."
        )

    def _refuse_absent(self, kek: Kek) -> None:
        key = self._key_ring.get(kek.kid)
        if key is None or key.kcv != kek.kcv:
            raise KeyNotAtHand(f"The root key {kek.kid} is not in the configuration read here.")

    def _info(self, kek: Kek, data_keys: int, live: dict[str, frozenset[str]]) -> RootKeyInfo:
        key = self._key_ring.get(kek.kid)
        return RootKeyInfo(
            kid=kek.kid,
            provider=kek.provider,
            reference=kek.provider_ref,
            state=kek.state,
            fingerprint=kek.kcv.hex(),
            data_keys=data_keys,
            at_hand=key is not None and key.kcv == kek.kcv,
            held_by=[instance for instance, kids in live.items() if kek.kid in kids],
            lacked_by=[instance for instance, kids in live.items() if kek.kid not in kids],
            created_at=kek.created_at,
            activated_at=kek.activated_at,
        )


def progress_of(job: KeyRewrap) -> RotationProgress:
    """Return what people are told of a rewrap; the rate is that of its present run."""
    seconds = (job.updated_at - job.resumed_at).total_seconds()
    rate = (job.done - job.resumed_done) / seconds if seconds > 0 else None
    left = max(job.total - job.done - job.failed, 0)
    is_running = job.state == RewrapState.RUNNING
    return RotationProgress(
        from_kid=job.from_kid,
        to_kid=job.to_kid,
        state=job.state,
        total=job.total,
        done=job.done,
        failed=job.failed,
        rate_per_s=rate and round(rate, 1),
        eta_s=round(left / rate, 1) if is_running and rate else None,
    )
