"""Statements: what happened to an account, page by page, with the balance after each movement."""

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.ledger_repository import LedgerRepository
from backend.app.repositories.merchant_repository import MerchantRepository
from backend.app.schemas.merchant_schemas import Statement, StatementPlace
from backend.app.services.ledger.entries import statement
from backend.app.services.principal import Principal


class StatementService:
    """Statements of merchants, for themselves and for administrators."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def own(self, owner_id: int, place: StatementPlace) -> Statement:
        """Return one's own movements, the oldest first; none before approval.

        Raises:
            MerchantNotFound: one is no merchant.
        """
        async with self._database.snapshot() as session:
            return await _page(session, owner_id, place)

    async def of(
        self, administrator: Principal, merchant_id: int, place: StatementPlace
    ) -> Statement:
        """Return a merchant's movements. That they were shown is recorded.

        Raises:
            MerchantNotFound: there is none of that id.
        """
        async with self._database.transaction() as session:
            page = await _page(session, merchant_id, place)
            record = AuditRecord(
                act=Act.MERCHANT_READ,
                outcome=Outcome.DONE,
                caller=administrator.caller,
                at=self._now(),
                object=AuditObject("merchant", merchant_id, merchant_id),
                purpose="statement",
                n=len(page.items),
            )
            await AuditRepository(session).append([record])
        return page


async def _page(session: AsyncSession, merchant_id: int, place: StatementPlace) -> Statement:
    merchant = (await MerchantRepository(session).get(merchant_id)).merchant
    if merchant.account_id is None:
        return statement((), place.limit)
    entries = await LedgerRepository(session).entries_after(
        merchant.account_id, place.cursor, place.limit + 1
    )
    return statement(entries, place.limit)
