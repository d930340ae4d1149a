"""Administrators looking after the pools that stand behind the merchants' credit."""

from decimal import Decimal
from typing import Final

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import MovementKind
from backend.app.errors import PoolShort, TooManyPools
from backend.app.models.ledger import LedgerAccount
from backend.app.money import in_cents
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.ledger_repository import LedgerRepository, Line
from backend.app.schemas.merchant_schemas import (
    DEFAULT_POOL,
    HistoryQuery,
    PoolChange,
    PoolChanged,
    PoolCreate,
    PoolShown,
    Statement,
)
from backend.app.services.idempotency.idempotency import Idempotency
from backend.app.services.idempotency.keyed import Answer, Keyed, fingerprint
from backend.app.services.ledger.entries import statement
from backend.app.services.principal import Principal

POOLS_MAX: Final = 100


class PoolService:
    """The use cases of funding."""

    def __init__(self, database: Database, idempotency: Idempotency, now: Clock) -> None:
        self._database = database
        self._idempotency = idempotency
        self._now = now

    async def pools(self) -> list[PoolShown]:
        """Return the pools, the oldest first."""
        async with self._database.snapshot() as session:
            found = await LedgerRepository(session).pools(POOLS_MAX)
        return [_shown(pool) for pool in found]

    async def create(self, administrator: Principal, asked: PoolCreate) -> PoolShown:
        """Make a pool that holds nothing yet.

        Raises:
            PoolExists: there is one of that name.
            TooManyPools: there are as many as the house keeps.
        """
        async with self._database.transaction() as session:
            ledger = LedgerRepository(session)
            if len(await ledger.pools(POOLS_MAX)) >= POOLS_MAX:
                raise TooManyPools(f"There are {POOLS_MAX} pools already.")
            pool = await ledger.add_pool(asked.name, self._now())
            thing = AuditObject("ledger_account", pool.id)
            await self._record(session, Act.POOL_CREATED, administrator, thing)
        return _shown(pool)

    async def history(self, wanted: HistoryQuery) -> Statement:
        """Return a pool's movements, the oldest first.

        Raises:
            PoolNotFound: there is none of that name.
        """
        async with self._database.snapshot() as session:
            ledger = LedgerRepository(session)
            pool = await ledger.pool(wanted.pool)
            entries = await ledger.entries_after(pool.id, wanted.cursor, wanted.limit + 1)
        return statement(entries, wanted.limit)

    async def top_up(self, administrator: Principal, asked: PoolChange, key: str | None) -> Answer:
        """Put money into a pool.

        Raises:
            IdempotencyKeyReused: the key came with another body before.
            IdempotencyInProgress: the same request is under way.
            PoolNotFound: there is none of that name.
        """

        async def act(session: AsyncSession) -> BaseModel:
            return await self._move(session, administrator, asked, MovementKind.TOPUP, asked.amount)

        return await self._idempotency.once(_keyed(administrator, "topup", asked, key), act)

    async def draw_down(
        self, administrator: Principal, asked: PoolChange, key: str | None
    ) -> Answer:
        """Take money out of a pool, as far as merchants have not drawn it.

        Raises:
            IdempotencyKeyReused: the key came with another body before.
            IdempotencyInProgress: the same request is under way.
            PoolNotFound: there is none of that name.
            PoolShort: it does not hold as much.
        """

        async def act(session: AsyncSession) -> BaseModel:
            return await self._move(
                session, administrator, asked, MovementKind.DRAWDOWN, -asked.amount
            )

        return await self._idempotency.once(_keyed(administrator, "drawdown", asked, key), act)

    async def _move(
        self,
        session: AsyncSession,
        administrator: Principal,
        asked: PoolChange,
        kind: MovementKind,
        change: Decimal,
    ) -> PoolChanged:
        ledger = LedgerRepository(session)
        pool_id, bank_id = (await ledger.pool(asked.pool)).id, (await ledger.bank()).id
        pool = (await ledger.hold(pool_id, bank_id))[pool_id]
        if pool.balance + change < 0:
            raise PoolShort(
                "The pool does not hold as much.", facts={"available": in_cents(pool.balance)}
            )
        movement_id = await ledger.move(
            kind, [Line(pool_id, change), Line(bank_id, -change)], self._now()
        )
        await session.refresh(pool)
        act = Act.POOL_TOPPED_UP if change > 0 else Act.POOL_DRAWN_DOWN
        thing = AuditObject("ledger_movement", movement_id)
        await self._record(session, act, administrator, thing)
        return PoolChanged(movement_id=movement_id, **dict(_shown(pool)))

    async def _record(
        self, session: AsyncSession, act: Act, administrator: Principal, thing: AuditObject
    ) -> None:
        record = AuditRecord(
            act=act,
            outcome=Outcome.DONE,
            caller=administrator.caller,
            at=self._now(),
            object=thing,
        )
        await AuditRepository(session).append([record])


def _keyed(administrator: Principal, what: str, asked: PoolChange, key: str | None) -> Keyed:
    return Keyed(administrator, f"pool/{what}", key, fingerprint(asked))


def _shown(pool: LedgerAccount) -> PoolShown:
    return PoolShown(
        name=pool.name,
        is_default=pool.name == DEFAULT_POOL,
        available_amount=pool.balance,
        created_at=pool.created_at,
    )
