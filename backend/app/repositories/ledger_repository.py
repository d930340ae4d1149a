"""SQL for the ledger. Nothing here commits, and nothing changes a balance but by lines.

Who changes a merchant's account, limit or state holds the account of its pool first. That one
lock keeps all processes apart, and they all take it first, so that none waits for another in turn.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from sqlalchemy import exc, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.database import constraint_of
from backend.app.enums import AccountKind, MovementKind
from backend.app.errors import PoolExists, PoolNotFound
from backend.app.models.ledger import LedgerAccount, LedgerLine, LedgerMovement

ASSET: Final = "USD"

_AFTER: Final = text(
    "SELECT l.movement_id, m.at, m.kind, l.amount,"
    " coalesce((SELECT sum(before.amount) FROM ledger_lines AS before"
    "  WHERE before.account_id = :account AND before.movement_id <= :after), 0)"
    "  + sum(l.amount) OVER (ORDER BY l.movement_id) AS balance, m.reference_id, m.reverses_id"
    " FROM ledger_lines AS l JOIN ledger_movements AS m ON m.id = l.movement_id"
    " WHERE l.account_id = :account AND l.movement_id > :after"
    " ORDER BY l.movement_id LIMIT :rows"
)
_LATEST: Final = text(
    "SELECT l.movement_id, m.at, m.kind, l.amount,"
    " a.balance - coalesce(sum(l.amount) OVER (ORDER BY l.movement_id DESC"
    "  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS balance,"
    " m.reference_id, m.reverses_id"
    " FROM ledger_lines AS l JOIN ledger_movements AS m ON m.id = l.movement_id"
    " JOIN ledger_accounts AS a ON a.id = l.account_id"
    " WHERE l.account_id = :account ORDER BY l.movement_id DESC LIMIT :rows"
)


class Line(NamedTuple):
    """What a movement does to one account."""

    account_id: int
    amount: Decimal


class Entry(NamedTuple):
    """A line of an account with what it belongs to, and the balance after it."""

    movement_id: int
    at: datetime
    kind: MovementKind
    amount: Decimal
    balance: Decimal
    reference_id: int | None
    reverses_id: int | None


class LedgerRepository:
    """Accounts, and movements between them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def bank(self) -> LedgerAccount:
        """Return the account that stands for the world outside."""
        found = await self._session.execute(
            select(LedgerAccount).where(
                LedgerAccount.kind == AccountKind.BANK.value, LedgerAccount.asset == ASSET
            )
        )
        return found.scalar_one()

    async def pool(self, name: str) -> LedgerAccount:
        """Return a pool.

        Raises:
            PoolNotFound: there is none of that name.
        """
        found = await self._session.execute(
            select(LedgerAccount).where(
                LedgerAccount.kind == AccountKind.POOL.value, LedgerAccount.name == name
            )
        )
        pool = found.scalar_one_or_none()
        if pool is None:
            raise PoolNotFound("There is no pool of that name.")
        return pool

    async def pools(self, rows_max: int) -> Sequence[LedgerAccount]:
        """Return the pools, the oldest first."""
        found = await self._session.execute(
            select(LedgerAccount)
            .where(LedgerAccount.kind == AccountKind.POOL.value)
            .order_by(LedgerAccount.id)
            .limit(rows_max)
        )
        return found.scalars().all()

    async def add_pool(self, name: str, at: datetime) -> LedgerAccount:
        """Open the account of a new pool.

        Raises:
            PoolExists: there is one of that name.
        """
        try:
            return await self._open(
                LedgerAccount(kind=AccountKind.POOL.value, name=name, asset=ASSET, created_at=at)
            )
        except exc.IntegrityError as error:
            if constraint_of(error) != "uq_ledger_accounts_house":
                raise
            raise PoolExists("There is a pool of that name.") from None

    async def add_merchant(self, owner_id: int, limit: Decimal, at: datetime) -> LedgerAccount:
        """Open the account of a merchant, with his credit."""
        return await self._open(
            LedgerAccount(
                kind=AccountKind.MERCHANT.value,
                owner_id=owner_id,
                asset=ASSET,
                credit_limit=limit,
                created_at=at,
            )
        )

    async def hold(self, *account_ids: int) -> dict[int, LedgerAccount]:
        """Return accounts as they now stand, held until the block ends; pools are held first."""
        found = await self._session.execute(
            select(LedgerAccount)
            .where(LedgerAccount.id.in_(account_ids))
            .order_by(LedgerAccount.kind != AccountKind.POOL.value, LedgerAccount.id)
            .with_for_update(),
            execution_options={"populate_existing": True},
        )
        return {account.id: account for account in found.scalars()}

    async def move(
        self,
        kind: MovementKind,
        lines: Sequence[Line],
        at: datetime,
        *,
        reference_id: int | None = None,
        reverses_id: int | None = None,
    ) -> int:
        """Write a movement with all its lines, which sum to zero, and return its id."""
        written = await self._session.execute(
            insert(LedgerMovement)
            .values(kind=kind.value, at=at, reference_id=reference_id, reverses_id=reverses_id)
            .returning(LedgerMovement.id)
        )
        movement_id = written.scalar_one()
        # All lines in one statement: whether they balance is looked at after each.
        await self._session.execute(
            insert(LedgerLine).values(
                [{"movement_id": movement_id, **line._asdict()} for line in lines]
            )
        )
        return movement_id

    async def take_back(
        self, movement_id: int, kind: MovementKind, at: datetime, reference_id: int | None
    ) -> int:
        """Write the opposite of a movement, which names it; what was written stays."""
        found = await self._session.execute(
            select(LedgerLine.account_id, LedgerLine.amount).where(
                LedgerLine.movement_id == movement_id
            )
        )
        lines = [Line(account_id, -amount) for account_id, amount in found]
        return await self.move(kind, lines, at, reference_id=reference_id, reverses_id=movement_id)

    async def balance(self, account_id: int) -> Decimal:
        """Return what an account holds, past whatever the session remembers."""
        found = await self._session.execute(
            select(LedgerAccount.balance).where(LedgerAccount.id == account_id)
        )
        return found.scalar_one()

    async def entries_after(self, account_id: int, after: int, rows_max: int) -> list[Entry]:
        """Return an account's next entries, the oldest first."""
        found = await self._session.execute(
            _AFTER, {"account": account_id, "after": after, "rows": rows_max}
        )
        return [_entry(row) for row in found]

    async def latest_entries(self, account_id: int, rows_max: int) -> list[Entry]:
        """Return an account's latest entries, the newest first."""
        found = await self._session.execute(_LATEST, {"account": account_id, "rows": rows_max})
        return [_entry(row) for row in found]

    async def _open(self, account: LedgerAccount) -> LedgerAccount:
        self._session.add(account)
        await self._session.flush()
        await self._session.refresh(account)
        return account


def _entry(row: Sequence[object]) -> Entry:
    entry = Entry(*row)  # type: ignore[arg-type]
    return entry._replace(kind=MovementKind(entry.kind))
