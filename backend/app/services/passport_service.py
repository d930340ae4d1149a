"""What is kept of a credential's checks: its newest passport, and the history behind it."""

from backend.app.database import Database
from backend.app.exchanges.reasons import Reason
from backend.app.models.credential_check import CredentialCheck as CheckRow
from backend.app.repositories.credential_check_repository import CredentialCheckRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.schemas.passport_schemas import (
    CredentialCheck,
    CredentialCheckPage,
    StoredPassport,
)
from backend.app.services.credential_rows import stored_passport


class PassportService:
    """Shows the owner of a credential what its exchange told of it, now and before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stored(self, owner_id: int, credential_id: int) -> StoredPassport:
        """Return the passport as it was issued last; no exchange is asked.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        async with self._database.snapshot() as session:
            credential = await CredentialRepository(session).get(owner_id, credential_id)
        passport = stored_passport(credential.passport)
        return StoredPassport(
            credential_id=credential.id,
            checked_at=passport.checked_at if passport is not None else None,
            passport=passport,
        )

    async def history(
        self, owner_id: int, credential_id: int, limit: int, cursor: int | None
    ) -> CredentialCheckPage:
        """Return checks of a credential, the newest first, a page at a time.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        async with self._database.snapshot() as session:
            await CredentialRepository(session).get(owner_id, credential_id)
            found = await CredentialCheckRepository(session).page(
                owner_id, credential_id, cursor, limit + 1
            )
        return CredentialCheckPage(
            items=[_shown(row) for row in found[:limit]],
            next_cursor=str(found[limit - 1].id) if len(found) > limit else None,
        )


def _shown(row: CheckRow) -> CredentialCheck:
    return CredentialCheck(
        id=row.id,
        checked_at=row.checked_at,
        standing=row.standing,
        reason=Reason(row.reason) if row.reason is not None else None,
        exchange_code=row.exchange_code,
        latency_ms=row.latency_ms,
        passport=stored_passport(row.passport),
    )
