"""Who has how much, in atoms: available, and locked for orders that are open."""

from collections.abc import Iterator
from typing import NamedTuple

from backend.app.venue.batch import Line, Pocket

Whereabouts = tuple[int | None, str, Pocket]
"""An account, or the house (None), an asset, and the pocket it is in."""
Moves = dict[Whereabouts, int]
"""What a command does in each of these."""
_AVAILABLE, _LOCKED = Pocket.AVAILABLE, Pocket.LOCKED
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
        self._amounts: dict[Whereabouts, int] = {}

    def available(self, account_id: int, asset: str) -> int:
        """Return what an account may use."""
        return self._amounts.get((account_id, asset, _AVAILABLE), 0)

    def holdings(self) -> Iterator[Holding]:
        """Walk everything that anybody has, by account and asset."""
        amounts = self._amounts
        for account_id, asset in sorted({(each[0] or 0, each[1]) for each in amounts}):
            both = [amounts.get((account_id, asset, each), 0) for each in (_AVAILABLE, _LOCKED)]
            yield Holding(account_id, asset, *both)

    def put(self, holding: Holding) -> None:
        """Let an account have this much of an asset."""
        account_id, asset, available, locked = holding
        for pocket, amount in ((_AVAILABLE, available), (_LOCKED, locked)):
            if amount:
                self._amounts[account_id, asset, pocket] = amount

    def book(self, number: int, moves: Moves) -> list[Line]:
        """Do what a command does, and return its lines."""
        lines, amounts = [], self._amounts
        for where, amount in moves.items():
            if not amount:
                continue
            lines.append(_new(Line, (number, *where, amount)))
            # What the house has is in the ledger; nothing here is decided by it.
            if where[0] is not None:
                rest = amounts.get(where, 0) + amount
                if rest:
                    amounts[where] = rest
                else:
                    del amounts[where]
        return lines
