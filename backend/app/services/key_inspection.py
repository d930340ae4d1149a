"""Looking at root keys without unlocking anything: do they answer, do they open this database?"""

from collections.abc import AsyncIterator

from backend.app.database import Database
from backend.app.errors import VaultUnavailable
from backend.app.models.kek import Kek
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.kek_repository import KekRepository
from backend.app.services.crypto_service import CryptoService, WrappedDek
from backend.app.services.envelope import EnvelopeError
from backend.app.services.key_check import INSTALLATION_DEK_ID, INSTALLATION_OWNER_ID
from backend.app.services.key_ring import KeyRing

Finding = tuple[bool, str]


async def inspect_keys(database: Database, key_ring: KeyRing) -> AsyncIterator[Finding]:
    """Say of each root key, and of the installation's own data key, whether it is well."""
    for key in key_ring.keys:
        answers = await key.healthy()
        words = "answers" if answers else "does not answer, or opens what it should not"
        yield answers, f"{key.kid} ({key.provider}) {words}"
    async with database.snapshot() as session:
        known = {kek.kid: kek for kek in await KekRepository(session).list()}
        in_use = await KekRepository(session).kids_in_use()
        row = await DekRepository(session).find(INSTALLATION_OWNER_ID, INSTALLATION_DEK_ID)
    for kid in sorted(in_use):
        yield _at_hand(known[kid], key_ring)
    if row is None:
        yield True, "nothing is sealed yet"
    elif row.kid in {key.kid for key in key_ring.keys}:
        yield await _opens(WrappedDek.of(row), key_ring)


def _at_hand(kek: Kek, key_ring: KeyRing) -> Finding:
    key = key_ring.get(kek.kid)
    if key is not None and key.kcv == kek.kcv:
        return True, f"{kek.kid} is the key this database was sealed with"
    return False, f"{kek.kid} (fingerprint {kek.kcv.hex()}) is needed and not configured here"


async def _opens(installation: WrappedDek, key_ring: KeyRing) -> Finding:
    try:
        await CryptoService(key_ring).unlock(installation)
    except EnvelopeError:
        return False, "the installation's own data key does not open"
    except VaultUnavailable as refusal:
        return False, refusal.detail
    return True, "the installation's own data key opens"
