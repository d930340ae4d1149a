"""Books and trades of the spot markets as everybody sees them."""

from backend.app.models.venue import Trade
from backend.app.repositories.venue_feed_repository import ToldTrade
from backend.app.schemas.order_schemas import OrderSide
from backend.app.schemas.venue_market_schemas import BookLevel, BookShown, TradeShown
from backend.app.services.venue.amounts import in_full, in_short
from backend.app.services.venue.desk import Depth
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument


def book(market: Instrument, depth: Depth) -> BookShown:
    """Return what waits at a market's best prices."""
    bids, asks = ([_level(market, *each) for each in side] for side in depth)
    return BookShown(symbol=market.symbol, bids=bids, asks=asks)


def trade(market: Instrument, row: Trade | ToldTrade) -> TradeShown:
    """Return a trade, which names nobody."""
    worth = row.price * row.quantity * market.tick_lot_atoms
    return TradeShown(
        id=row.id,
        price=in_full(row.price, market.ticks_per_unit),
        quantity=in_full(row.quantity, market.lots_per_unit),
        quote_quantity=in_short(worth, ATOMS_PER_UNIT),
        taker_side=OrderSide(row.taker_side),
        traded_at=row.traded_at,
    )


def _level(market: Instrument, price: int, quantity: int) -> BookLevel:
    return BookLevel(
        price=in_full(price, market.ticks_per_unit),
        quantity=in_full(quantity, market.lots_per_unit),
    )
