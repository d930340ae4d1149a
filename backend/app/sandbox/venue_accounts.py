"""The seeded accounts as accounts at a desk: opened, and given what they begin with, once."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from backend.app.errors import StrongroomError
from backend.app.sandbox.accounts import SeededAccount
from backend.app.services.venue.amounts import whole_units
from backend.app.services.venue.desk import VenueDesk
from backend.app.venue.commands import MoveFunds
from backend.app.venue.instruments import ATOMS_PER_UNIT

AccountOpener = Callable[[str], Awaitable[int]]
"""Returns the id of the account of that name, which is made if there is none."""
_REFERENCE: Final = "seed:"


class VenueAccounts:
    """Whose account has which id. An account is opened when it is first asked for."""

    def __init__(
        self, accounts: Sequence[SeededAccount], desk: VenueDesk, open_account: AccountOpener
    ) -> None:
        self._accounts = {account.account_id: account for account in accounts}
        self._desk = desk
        self._open_account = open_account
        # One for each of the seeded accounts, at most.
        self._ids: dict[str, int] = {}

    async def id_of(self, name: str) -> int:
        """Return the id of a seeded account such as `okx:full`.

        Raises:
            StrongroomError: the desk could not give it what it begins with.
        """
        known = self._ids.get(name)
        return await self._opened(self._accounts[name]) if known is None else known

    async def _opened(self, account: SeededAccount) -> int:
        # Two at once do no harm: a reference is given once.
        account_id = await self._open_account(account.account_id)
        gifts = list(_gifts(account_id, account))
        for answer in await self._desk.carry_out(gifts) if gifts else ():
            if isinstance(answer, StrongroomError):
                raise answer
        self._ids[account.account_id] = account_id
        return account_id


def _gifts(account_id: int, account: SeededAccount) -> Iterator[MoveFunds]:
    for balance in account.balances:
        atoms = whole_units(balance.available, ATOMS_PER_UNIT)
        if atoms:
            yield MoveFunds(account_id, balance.asset, atoms, _REFERENCE + balance.asset)
