"""What is traded: the steps of prices and quantities, the assets that change hands, and fees."""

from typing import Final, NamedTuple

ATOMS_PER_UNIT: Final = 10**12
"""All amounts of money in the core are whole atoms: twelve decimal places of any asset."""
FEE_ATOMS: Final = 10**4
"""Fees are whole multiples of this: eight decimal places."""


class Instrument(NamedTuple):
    """What may be asked of an instrument: prices in ticks, quantities in lots.

    Without a base asset nothing is owned and nothing paid: its traders have unlimited means.
    """

    id: int
    symbol: str
    name: str
    quote_asset: str
    ticks_per_unit: int
    price_ticks_min: int
    price_ticks_max: int
    order_lots_max: int
    base_asset: str | None = None
    lots_per_unit: int = 1
    notional_atoms_min: int = 0
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    """Fees in millionths of what a side receives, in the asset it receives."""
    is_active: bool = True

    @property
    def lot_atoms(self) -> int:
        """How much of the base asset one lot is."""
        return ATOMS_PER_UNIT // self.lots_per_unit

    @property
    def tick_lot_atoms(self) -> int:
        """How much of the quote asset one lot costs at a price of one tick."""
        return ATOMS_PER_UNIT // (self.ticks_per_unit * self.lots_per_unit)
