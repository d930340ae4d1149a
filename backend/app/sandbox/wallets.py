"""Who holds what. Money only moves from one holder to another; it is never made or lost.

The house is a holder like the others, but for one thing: it may owe. So for every asset the sum
over all holders is zero, always, and no account is ever below zero.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.key_information import Balance

HOUSE: Final = "house"


class Wallets:
    """Available and locked amounts by holder and asset."""

    def __init__(self) -> None:
        self._available: defaultdict[str, dict[str, Decimal]] = defaultdict(dict)
        self._locked: defaultdict[str, dict[str, Decimal]] = defaultdict(dict)

    def endow(self, holder: str, balances: Iterable[Balance]) -> None:
        """Give an account what it begins with; the house owes it from then on."""
        for balance in balances:
            _add(self._available[HOUSE], balance.asset, -balance.available)
            _add(self._available[holder], balance.asset, balance.available)

    def available(self, holder: str, asset: str) -> Decimal:
        """Return what a holder may spend."""
        return self._available[holder].get(asset, Decimal(0))

    def lock(self, holder: str, asset: str, amount: Decimal) -> None:
        """Set an amount aside for an order.

        Raises:
            OrderRefused: insufficient_funds.
        """
        if self.available(holder, asset) < amount:
            raise OrderRefused("insufficient_funds")
        _add(self._available[holder], asset, -amount)
        _add(self._locked[holder], asset, amount)

    def release(self, holder: str, asset: str, amount: Decimal) -> None:
        """Give a locked amount back to its holder."""
        _add(self._locked[holder], asset, -amount)
        _add(self._available[holder], asset, amount)

    def pay(self, payer: str, payee: str, asset: str, amount: Decimal) -> None:
        """Move money: out of what an account has locked, or out of the house's pocket."""
        pocket = self._available if payer == HOUSE else self._locked
        _add(pocket[payer], asset, -amount)
        _add(self._available[payee], asset, amount)

    def balances(self, holder: str) -> Sequence[Balance]:
        """Return every asset a holder has or had, by name."""
        available, locked = self._available[holder], self._locked[holder]
        return tuple(
            Balance(asset, available.get(asset, Decimal(0)), locked.get(asset, Decimal(0)))
            for asset in sorted(available.keys() | locked.keys())
        )

    def holders(self) -> Sequence[str]:
        """Return everybody who holds something, the house included."""
        return tuple(self._available.keys() | self._locked.keys())


def _add(amounts: dict[str, Decimal], asset: str, amount: Decimal) -> None:
    amounts[asset] = amounts.get(asset, Decimal(0)) + amount
