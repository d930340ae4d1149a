"""SQL for wallets: what an account of the venue has, and the ledger's lines of it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_WALLETS: Final = text(
    "SELECT asset, available, locked FROM wallets WHERE account_id = :account ORDER BY asset"
)
# The newest line of each pocket is found by its index.
_DATED_WALLETS: Final = text(
    "SELECT wallet.asset, wallet.available, wallet.locked, changed.at"
    " FROM wallets AS wallet"
    " CROSS JOIN LATERAL ("
    "  SELECT max(movement.at) AS at FROM ledger_accounts AS pocket"
    "  CROSS JOIN LATERAL ("
    "   SELECT movement_id FROM ledger_lines"
    "   WHERE account_id = pocket.id ORDER BY movement_id DESC LIMIT 1"
    "  ) AS line"
    "  JOIN ledger_movements AS movement ON movement.id = line.movement_id"
    "  WHERE pocket.venue_account_id = wallet.account_id AND pocket.asset = wallet.asset"
    " ) AS changed"
    " WHERE wallet.account_id = :account ORDER BY wallet.asset"
)
# Of each pocket its own newest lines, by its index; then the newest of all those. A movement may
# have a line in several pockets, which is why a place in the list names both.
_LINES: Final = text(
    "SELECT line.movement_id, pocket.id AS pocket_id, movement.kind, pocket.asset,"
    " pocket.kind AS pocket, line.amount, movement.at"
    " FROM ledger_accounts AS pocket"
    " CROSS JOIN LATERAL ("
    "  SELECT movement_id, amount FROM ledger_lines"
    "  WHERE account_id = pocket.id"
    "   AND movement_id"
    "    < CAST(:movement AS bigint) + (pocket.id < CAST(:pocket AS bigint))::int"
    "  ORDER BY movement_id DESC LIMIT :rows"
    " ) AS line"
    " JOIN ledger_movements AS movement ON movement.id = line.movement_id"
    " WHERE pocket.venue_account_id = :account"
    "  AND (CAST(:asset AS varchar) IS NULL OR pocket.asset = :asset)"
    " ORDER BY line.movement_id DESC, pocket.id DESC LIMIT :rows"
)
_AFTER_ALL: Final = (2**63 - 2, 0)


class Holding(NamedTuple):
    """What an account has of an asset."""

    asset: str
    available: Decimal
    locked: Decimal


class DatedHolding(NamedTuple):
    """What an account has of an asset, and since when it is so."""

    asset: str
    available: Decimal
    locked: Decimal
    updated_at: datetime | None


class WalletLine(NamedTuple):
    """What a movement did to one pocket of an account."""

    movement_id: int
    pocket_id: int
    kind: str
    asset: str
    pocket: str
    amount: Decimal
    at: datetime


class WalletRepository:
    """Wallets as one account may see them. Only the engine changes them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def holdings(self, account_id: int) -> list[Holding]:
        """Return what an account has, or had, of each asset."""
        found = await self._session.execute(_WALLETS, {"account": account_id})
        return [Holding(*row) for row in found]

    async def dated_holdings(self, account_id: int) -> list[DatedHolding]:
        """Return what an account has, or had, of each asset, and when that last changed."""
        found = await self._session.execute(_DATED_WALLETS, {"account": account_id})
        return [DatedHolding(*row) for row in found]

    async def lines(
        self,
        account_id: int,
        *,
        asset: str | None,
        before: tuple[int, int] | None,
        rows_max: int,
    ) -> Sequence[WalletLine]:
        """Return an account's lines, the newest first; `before` names a movement and a pocket."""
        movement, pocket = before or _AFTER_ALL
        found = await self._session.execute(
            _LINES,
            {
                "account": account_id,
                "asset": asset,
                "movement": movement,
                "pocket": pocket,
                "rows": rows_max,
            },
        )
        return [WalletLine(*row) for row in found]
