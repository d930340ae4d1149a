"""Who has how much, in atoms: available, and locked for orders that are open."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from backend.app.venue.batch import Line, Pocket

Moves = dict[tuple[int | None, str, Pocket], int]
"""What a command does to each pocket of an account, or of the house (None)."""
_AVAILABLE = Pocket.AVAILABLE
_new = tuple.__new__


class Holding(NamedTuple):
    """What an account has of an asset."""

    account_id: int
    asset: str
    available: int
    locked: int


class Wallets:
    """The wallets of a shard. Whoever moves money has made sure that it is there."""

    def __init__(self) -> None:
        # Only what is more than nothing.
        self._available: dict[tuple[int, str], int] = {}
        self._locked: dict[tuple[int, str], int] = {}

    def available(self, account_id: int, asset: str) -> int:
        """Return what an account may use."""
        return self._available.get((account_id, asset), 0)

    def holdings(self) -> Iterator[Holding]:
        """Walk everything that anybody has, by account and asset."""
        for account_id, asset in sorted(self._available.keys() | self._locked.keys()):
            wallet = account_id, asset
            yield Holding(*wallet, self._available.get(wallet, 0), self._locked.get(wallet, 0))

    def put(self, holding: Holding) -> None:
        """Let an account have this much of an asset."""
        account_id, asset, available, locked = holding
        if available:
            self._available[account_id, asset] = available
        if locked:
            self._locked[account_id, asset] = locked

    def book(self, number: int, moves: Mapping[tuple[int | None, str, Pocket], int]) -> list[Line]:
        """Do what a command does to wallets, and return its lines."""
        lines = []
        for (account_id, asset, pocket), amount in moves.items():
            if not amount:
                continue
            lines.append(_new(Line, (number, account_id, asset, pocket, amount)))
            # What the house has is in the ledger; nothing here is decided by it.
            if account_id is not None:
                held = self._available if pocket is _AVAILABLE else self._locked
                rest = held.get((account_id, asset), 0) + amount
                if rest:
                    held[account_id, asset] = rest
                else:
                    del held[account_id, asset]
        return lines
