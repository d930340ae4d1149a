"""Administrators deciding about merchants: how much each may draw, and whether."""

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import MerchantState
from backend.app.errors import CreditLimitBelowUse, MerchantNotActive, MerchantNotPending
from backend.app.models.merchant import Merchant
from backend.app.money import in_cents
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.ledger_repository import LedgerRepository
from backend.app.repositories.merchant_repository import MerchantRepository
from backend.app.schemas.merchant_schemas import (
    Approval,
    LimitChange,
    MerchantPage,
    MerchantShown,
)
from backend.app.services.credit.standing import merchant_shown
from backend.app.services.principal import Principal


class MerchantService:
    """The use cases of lending."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def page(
        self, administrator: Principal, state: MerchantState | None, limit: int, after_id: int
    ) -> MerchantPage:
        """Return the next merchants by id. That they were shown is recorded."""
        async with self._database.transaction() as session:
            found = await MerchantRepository(session).page(state, after_id, limit + 1)
            items = [merchant_shown(each) for each in found[:limit]]
            await self._record(session, Act.MERCHANT_READ, administrator, n=len(items))
        more = len(found) > limit
        return MerchantPage(items=items, next_cursor=str(items[-1].merchant_id) if more else None)

    async def get(self, administrator: Principal, merchant_id: int) -> MerchantShown:
        """Return one merchant. That he was shown is recorded.

        Raises:
            MerchantNotFound: there is none of that id.
        """
        async with self._database.transaction() as session:
            found = merchant_shown(await MerchantRepository(session).get(merchant_id))
            await self._record(session, Act.MERCHANT_READ, administrator, merchant_id)
        return found

    async def approve(self, administrator: Principal, asked: Approval) -> MerchantShown:
        """Open a merchant's account with his credit, and let him draw.

        Raises:
            MerchantNotFound: there is none of that id.
            MerchantNotPending: he was approved before; his limit is changed elsewhere.
            PoolNotFound: there is no pool of that name.
        """
        async with self._database.transaction() as session:
            merchant = await MerchantRepository(session).hold(asked.merchant_id)
            if merchant.state != MerchantState.PENDING:
                raise MerchantNotPending("This merchant was approved before.")
            ledger, at = LedgerRepository(session), self._now()
            pool = await ledger.pool(asked.pool)
            account = await ledger.add_merchant(merchant.user_id, asked.credit_limit, at)
            merchant.account_id, merchant.pool_id, merchant.approved_at = account.id, pool.id, at
            merchant.state = MerchantState.ACTIVE.value
            return await self._changed(session, Act.MERCHANT_APPROVED, administrator, merchant)

    async def change_limit(
        self, administrator: Principal, merchant_id: int, asked: LimitChange
    ) -> MerchantShown:
        """Change how much a merchant may draw, from the next withdrawal on.

        Raises:
            MerchantNotFound: there is none of that id.
            MerchantNotActive: he is not approved yet.
            CreditLimitBelowUse: more than that is drawn already.
        """
        async with self._database.transaction() as session:
            merchant = await MerchantRepository(session).hold(merchant_id)
            account_id, pool_id = _account_of(merchant)
            account = (await LedgerRepository(session).hold(pool_id, account_id))[account_id]
            if asked.credit_limit < account.balance:
                raise CreditLimitBelowUse(
                    "More than this is drawn already.",
                    facts={"utilised": in_cents(account.balance)},
                )
            account.credit_limit = asked.credit_limit
            return await self._changed(session, Act.MERCHANT_LIMIT_CHANGED, administrator, merchant)

    async def suspend(self, administrator: Principal, merchant_id: int) -> MerchantShown:
        """Let a merchant draw nothing more; what he drew is not touched.

        Raises:
            MerchantNotFound: there is none of that id.
            MerchantNotActive: he is not approved yet.
        """
        return await self._turn(
            administrator, merchant_id, MerchantState.SUSPENDED, Act.MERCHANT_SUSPENDED
        )

    async def resume(self, administrator: Principal, merchant_id: int) -> MerchantShown:
        """Let a suspended merchant draw again.

        Raises:
            MerchantNotFound: there is none of that id.
            MerchantNotActive: he is not approved yet.
        """
        return await self._turn(
            administrator, merchant_id, MerchantState.ACTIVE, Act.MERCHANT_RESUMED
        )

    async def _turn(
        self, administrator: Principal, merchant_id: int, state: MerchantState, act: Act
    ) -> MerchantShown:
        async with self._database.transaction() as session:
            merchant = await MerchantRepository(session).hold(merchant_id)
            _, pool_id = _account_of(merchant)
            if merchant.state == state:
                return merchant_shown(await MerchantRepository(session).get(merchant_id))
            # Whoever draws holds the pool: when we answer, the last one before us is committed.
            await LedgerRepository(session).hold(pool_id)
            merchant.state = state.value
            return await self._changed(session, act, administrator, merchant)

    async def _changed(
        self, session: AsyncSession, act: Act, administrator: Principal, merchant: Merchant
    ) -> MerchantShown:
        await session.flush()
        await session.refresh(merchant)
        found = merchant_shown(await MerchantRepository(session).get(merchant.user_id))
        await self._record(session, act, administrator, merchant.user_id)
        return found

    async def _record(
        self,
        session: AsyncSession,
        act: Act,
        administrator: Principal,
        merchant_id: int | None = None,
        n: int | None = None,
    ) -> None:
        thing = None if merchant_id is None else AuditObject("merchant", merchant_id, merchant_id)
        record = AuditRecord(
            act=act,
            outcome=Outcome.DONE,
            caller=administrator.caller,
            at=self._now(),
            object=thing,
            n=n,
        )
        await AuditRepository(session).append([record])


def _account_of(merchant: Merchant) -> tuple[int, int]:
    """Return a merchant's account and his pool's.

    Raises:
        MerchantNotActive: he is not approved yet.
    """
    if merchant.account_id is None or merchant.pool_id is None:
        raise MerchantNotActive(
            "This merchant is not approved yet.", facts={"merchant_state": merchant.state}
        )
    return merchant.account_id, merchant.pool_id
