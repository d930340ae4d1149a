"""The canary: root keys that do not open this database are found before the first request.

The database remembers a check value of every root key it was sealed with, and holds one data
key of the installation's own. A start with other keys is refused; a new first key becomes the one
that seals as soon as every running instance holds it.
"""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import ConfigurationError, DatabaseUnavailable, KeyNotAtHand
from backend.app.models.kek import Kek
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.kek_repository import KekRepository
from backend.app.services.crypto_service import CryptoService, WrappedDek
from backend.app.services.envelope import EnvelopeError
from backend.app.services.key_instances import KeyInstances, refuse_retired
from backend.app.services.key_ring import KeyRing
from backend.app.services.root_key import RootKey

# The installation owns one data key, under a name no credential's key can have: ids of keys are
# random, ids of users start at one.
INSTALLATION_OWNER_ID: Final = 0
INSTALLATION_DEK_ID: Final = UUID(int=0)


class KeyCheck:
    """Proves the root keys against the database, then unlocks the vault."""

    def __init__(
        self,
        database: Database,
        key_ring: KeyRing,
        crypto: CryptoService,
        instances: KeyInstances,
        now: Clock,
    ) -> None:
        self._database = database
        self._key_ring = key_ring
        self._crypto = crypto
        self._instances = instances
        self._is_known = False
        self._now = now

    async def unlock(self) -> None:
        """Unlock the vault with the keys at hand.

        Raises:
            ConfigurationError: they do not open this database.
            DatabaseUnavailable: it could not be asked.
            VaultUnavailable: a key service is away, slow or refuses.
        """
        await self._prove_new_keys()
        async with self._database.transaction() as session:
            keks, deks = KekRepository(session), DekRepository(session)
            await keks.lock()
            known = {kek.kid: kek for kek in await keks.list()}
            in_use = await keks.kids_in_use()
            self._refuse_missing([known[kid] for kid in sorted(in_use)])
            self._refuse_renamed(known)
            refuse_retired(known.get(self._key_ring.keys[0].kid))

            await self._write_down(keks, known)
            await self._instances.report(session)
            await self._instances.settle(session)
            installation = await self._installation(deks)
            try:
                await self._crypto.unlock(installation)
            except EnvelopeError:
                raise ConfigurationError(_DAMAGED) from None
        self._is_known = True

    async def leave(self) -> None:
        """Say that this instance stops; if the database is away, its silence will say so."""
        if not self._is_known:
            return
        with contextlib.suppress(DatabaseUnavailable):
            async with self._database.transaction() as session:
                await self._instances.forget(session)

    async def _prove_new_keys(self) -> None:
        """Ask a key this database has not met yet to show that it does what it should."""
        async with self._database.snapshot() as session:
            known = {kek.kid for kek in await KekRepository(session).list()}
        for key in self._key_ring.keys:
            if key.kid not in known and not await key.healthy():
                raise ConfigurationError(
                    f"The root key {key.kid} ({key.provider} {key.reference}) does not wrap, or "
                    "opens for one row what was wrapped for another. Look at the address, the "
                    "permissions, and for transit that the key was made with derived=true."
                )

    def _refuse_missing(self, needed: Sequence[Kek]) -> None:
        missing = [kek for kek in needed if not _is(self._key_ring.get(kek.kid), kek)]
        if missing:
            held = _listed(key.kcv.hex() for key in self._key_ring.keys)
            sealed = _listed(f"{kek.kcv.hex()} (named {kek.kid})" for kek in missing)
            raise ConfigurationError(
                f"ENCRYPTION_KEY: key fingerprint {held} does not open this database, "
                f"sealed with {sealed}. Put the missing key back; to seal with a new one, "
                "write the new one first and keep the old one after a comma."
            )

    def _refuse_renamed(self, known: dict[str, Kek]) -> None:
        for key in self._key_ring.keys:
            if key.kid in known and not _is(key, known[key.kid]):
                raise ConfigurationError(
                    f"ENCRYPTION_KEY: the name {key.kid} belongs to the key with fingerprint "
                    f"{known[key.kid].kcv.hex()}. Give the new key another name, or none."
                )

    async def _write_down(self, keks: KekRepository, known: dict[str, Kek]) -> None:
        for key in self._key_ring.keys:
            if key.kid not in known:
                await keks.add(
                    kid=key.kid,
                    provider=key.provider,
                    reference=key.reference,
                    kcv=key.kcv,
                    at=self._now(),
                )

    async def _installation(self, deks: DekRepository) -> WrappedDek:
        row = await deks.find(INSTALLATION_OWNER_ID, INSTALLATION_DEK_ID)
        if row is not None:
            return WrappedDek.of(row)
        dek = await self._crypto.new_dek(INSTALLATION_OWNER_ID, INSTALLATION_DEK_ID)
        await deks.add(
            dek.owner_id,
            dek_id=dek.dek_id,
            kid=dek.kid,
            wrapped=dek.wrapped,
            kcv=dek.kcv,
            at=self._now(),
        )
        return dek


async def unlock_beside(database: Database, key_ring: KeyRing) -> tuple[CryptoService, WrappedDek]:
    """Open the vault for a command, which runs beside the instances and is none of them.

    Return it with the installation's own data key. It seals with the key that seals for all.

    Raises:
        ConfigurationError: nothing was ever started here, or the keys at hand do not open it.
        KeyNotAtHand: the root key that seals is not among them.
        VaultUnavailable: a key service is away, slow or refuses.
    """
    async with database.snapshot() as session:
        active = await KekRepository(session).active()
        row = await DekRepository(session).find(INSTALLATION_OWNER_ID, INSTALLATION_DEK_ID)
    if row is None or active is None:
        raise ConfigurationError("This installation has no vault yet. Start it once first.")
    if key_ring.get(active) is None:
        raise KeyNotAtHand(f"The root key {active} is not in the configuration read here.")
    key_ring.seal_with(active)
    crypto, installation = CryptoService(key_ring), WrappedDek.of(row)
    try:
        await crypto.unlock(installation)
    except EnvelopeError:
        raise ConfigurationError(
            "The root keys at hand do not open this vault. Set ENCRYPTION_KEY as its instances do."
        ) from None
    return crypto, installation


def _is(key: RootKey | None, kek: Kek) -> bool:
    return key is not None and key.kcv == kek.kcv


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


_DAMAGED: Final = (
    "The root key is the right one, but the installation's own data key in this database does "
    "not open: its row in `deks` was changed. Restore that row from a backup."
)
