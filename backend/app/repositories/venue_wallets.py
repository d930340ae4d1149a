"""The ledger's ids of the venue's accounts: wallets, fees, and the world outside."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from backend.app.repositories.venue_writing import WalletKey, wallet_of
from backend.app.venue.batch import Line, Pocket

_HOUSE: Final = """
SELECT kind, asset, id FROM ledger_accounts
WHERE kind IN ('fees', 'bank') AND name = '' AND owner_id IS NULL AND venue_account_id IS NULL
"""
_OPEN: Final = """
INSERT INTO ledger_accounts (venue_account_id, kind, asset, may_go_negative, created_at)
SELECT account_id, kind, asset, kind = 'bank', $4
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS wanted (account_id, kind, asset)
ON CONFLICT DO NOTHING
"""
_WALLETS: Final = """
SELECT venue_account_id, ledger_accounts.kind, ledger_accounts.asset, id
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS wanted (account_id, kind, asset)
JOIN ledger_accounts ON venue_account_id = account_id AND ledger_accounts.kind = wanted.kind
    AND ledger_accounts.asset = wanted.asset
"""


class WalletIds:
    """Remembers the ledger's id of every account a line was about."""

    def __init__(self) -> None:
        self.ids: dict[WalletKey, int] = {}

    def missing(self, lines: Iterable[Line]) -> list[WalletKey]:
        """Return what lines are about and is not known yet."""
        return list({key: None for line in lines if (key := wallet_of(line)) not in self.ids})

    async def open(self, connection: Any, keys: Sequence[WalletKey], at: datetime) -> None:
        """Learn the ids of accounts; those that the ledger does not have are opened, empty."""
        columns = [list(column) for column in zip(*keys, strict=True)]
        await self._learn(connection, columns)
        unknown = [key for key in keys if key not in self.ids]
        if unknown:
            columns = [list(column) for column in zip(*unknown, strict=True)]
            await connection.execute(_OPEN, *columns, at)
            await self._learn(connection, columns)

    async def _learn(self, connection: Any, columns: list[list[Any]]) -> None:
        for account_id, kind, asset, number in await connection.fetch(_WALLETS, *columns):
            self.ids[account_id, Pocket(kind), asset] = number
        if None in columns[0]:
            for kind, asset, number in await connection.fetch(_HOUSE):
                self.ids[None, Pocket(kind), asset] = number
