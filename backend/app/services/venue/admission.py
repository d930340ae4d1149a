"""What a shard's writer looks at before it takes a command, whoever vouches for it.

Services have checked all that a trader may get wrong. This is what would break a whole batch, and
with it those of others: what no book knows, and what no column holds.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from backend.app.errors import AssetUnknown, BadRequest, OrderRefused, SymbolUnknown
from backend.app.venue.commands import Command, MoveFunds, NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument

NAME_LENGTH_MAX: Final = 64
ACCOUNT_ID_MAX: Final = 2**53
AMOUNT_ATOMS_MAX: Final = 10**15 * ATOMS_PER_UNIT


class Admission:
    """Lets in what the books of some instruments can carry out, and the tables hold."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        listed = {each.id: each for each in instruments}
        self._ids = frozenset(listed)
        self._assets = frozenset(
            asset
            for each in listed.values()
            if each.base_asset is not None
            for asset in (each.base_asset, each.quote_asset)
        )

    def check(self, commands: Sequence[Command]) -> None:
        """Do nothing if all of them may come in.

        Raises:
            OrderRefused: an order names an instrument that is none of these.
            AssetUnknown: a transfer names an asset that none of these trades.
            BadRequest: a name, an account or an amount is none.
        """
        for each in commands:
            if type(each) is NewOrder:
                if each.instrument_id not in self._ids:
                    raise OrderRefused("There is no such instrument.", facts={"rule": "symbol"})
                name = each.client_order_id
                if name is not None and not _is_name(name):
                    raise BadRequest("This is no client_order_id.")
                if each.budget is not None and each.budget > AMOUNT_ATOMS_MAX:
                    raise OrderRefused("The budget is too large.", facts={"rule": "budget"})
            elif type(each) is MoveFunds:
                self._check_transfer(each)
            if not 0 < each.account_id <= ACCOUNT_ID_MAX:
                raise BadRequest("There is no such account.")

    def check_instrument(self, instrument_id: int) -> None:
        """Do nothing if it is one of these.

        Raises:
            SymbolUnknown: it is not.
        """
        if instrument_id not in self._ids:
            raise SymbolUnknown

    def _check_transfer(self, transfer: MoveFunds) -> None:
        if transfer.asset not in self._assets:
            raise AssetUnknown
        if not _is_name(transfer.reference) or abs(transfer.amount) > AMOUNT_ATOMS_MAX:
            raise BadRequest("This is no transfer.")


def _is_name(text: str) -> bool:
    # PostgreSQL's text takes no NUL and no half of a surrogate pair; neither is printable.
    return 0 < len(text) <= NAME_LENGTH_MAX and text.isprintable()
