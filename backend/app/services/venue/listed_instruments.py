"""What is traded here: four cards, and eight pairs with the steps of the sandbox's exchanges.

An installation has them from its first start on (migrations 014 and 015, which stay as they were).
`strongroom venue seed` puts back what is missing of them.
"""

from typing import Final

from backend.app.services.card_service import CARD_SHARD
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument

_FEE_PPM: Final = 1_000
_PRICE_TICKS_MAX: Final = 1_000_000_000
_ORDER_LOTS_MAX: Final = 10_000_000
_CARDS: Final = ("PIKACHU", "CHARMANDER", "BULBASAUR", "SQUIRTLE")
_NOTIONAL_ATOMS: Final = 5 * ATOMS_PER_UNIT
# base, quote, ticks a unit of the quote asset, lots a unit of the base asset, smallest notional
_PAIRS: Final = (
    ("BTC", "USDT", 100, 100_000, _NOTIONAL_ATOMS),
    ("ETH", "USDT", 100, 10_000, _NOTIONAL_ATOMS),
    ("SOL", "USDT", 100, 1_000, _NOTIONAL_ATOMS),
    ("XRP", "USDT", 10_000, 10, _NOTIONAL_ATOMS),
    ("ADA", "USDT", 10_000, 10, _NOTIONAL_ATOMS),
    ("DOGE", "USDT", 100_000, 1, _NOTIONAL_ATOMS),
    ("LTC", "USDT", 100, 1_000, _NOTIONAL_ATOMS),
    ("ETH", "BTC", 100_000, 10_000, ATOMS_PER_UNIT // 10_000),
)


def _card(number: int, symbol: str) -> Instrument:
    return Instrument(
        id=number,
        symbol=symbol,
        name=symbol.capitalize(),
        quote_asset="USD",
        ticks_per_unit=100,
        price_ticks_min=100,
        price_ticks_max=1_000,
        order_lots_max=1,
    )


def _pair(number: int, pair: tuple[str, str, int, int, int]) -> Instrument:
    base, quote, ticks, lots, notional_atoms = pair
    return Instrument(
        id=number,
        symbol=f"{base}/{quote}",
        name=f"{base}/{quote}",
        quote_asset=quote,
        ticks_per_unit=ticks,
        price_ticks_min=1,
        price_ticks_max=_PRICE_TICKS_MAX,
        order_lots_max=_ORDER_LOTS_MAX,
        base_asset=base,
        lots_per_unit=lots,
        notional_atoms_min=notional_atoms,
        maker_fee_ppm=_FEE_PPM,
        taker_fee_ppm=_FEE_PPM,
    )


LISTED: Final = (
    *((CARD_SHARD, _card(*each)) for each in enumerate(_CARDS, start=1)),
    *(
        (SPOT_SHARD, _pair(number, each))
        for number, each in enumerate(_PAIRS, start=len(_CARDS) + 1)
    ),
)
"""Each with its shard. Orders, trades and the journal name an instrument by its id."""
