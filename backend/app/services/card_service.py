"""The card market: four instruments of the venue, one card an order, unlimited means."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from backend.app.database import Database
from backend.app.errors import CardUnknown, OrderNotFound, OrderRefused
from backend.app.models.venue import Instrument, Order
from backend.app.repositories.venue_ledger import FILLED, OPEN
from backend.app.repositories.venue_repository import VenueRepository
from backend.app.schemas.card_schemas import (
    CardBook,
    CardLevel,
    CardOrderCreate,
    CardOrderShown,
    CardOrderStatus,
    CardShown,
    CardSide,
    CardTradeShown,
)
from backend.app.services.venue.engine import VenueEngine
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side

CARD_SHARD: Final = 0
LATEST_ORDERS_MAX: Final = 50
LATEST_TRADES_MAX: Final = 50
BOOK_LEVELS_MAX: Final = 50
_CARDS_AN_ORDER: Final = 1


class CardService:
    """What a trader may do and see. Traders are accounts: users, or whom a trusted proxy names."""

    def __init__(self, database: Database, engine: VenueEngine) -> None:
        self._database = database
        self._engine = engine
        # They are part of the installed form of the database: read once.
        self._cards: Mapping[int, Instrument] = {}

    async def list_cards(self) -> list[CardShown]:
        """Return the cards."""
        return [_card(each) for each in (await self._all()).values()]

    async def get_card(self, card_id: int) -> CardShown:
        """Return a card.

        Raises:
            CardUnknown: there is none.
        """
        return _card(await self._card(card_id))

    async def place(self, account_id: int, asked: CardOrderCreate) -> CardOrderShown:
        """Place an order and return it when it is committed.

        Raises:
            CardUnknown: there is no such card.
            OrderRefused: the price is none of this card's.
            ClientOrderIdTaken: another order has this id.
            EngineElsewhere, VenueBusy: nothing was placed.
            OrderOutcomeUnknown: it may have been placed, or not.
        """
        card = await self._card(asked.card_id)
        order = NewOrder(
            account_id,
            card.id,
            Side(asked.side.value),
            _ticks(card, asked.price),
            _CARDS_AN_ORDER,
            asked.client_order_id,
        )
        known = await self._engine.place(order)
        is_filled = known.executed == known.order.quantity
        return CardOrderShown(
            id=known.id,
            card_id=card.id,
            side=asked.side,
            price=_price(card, known.order.price),
            status=CardOrderStatus(FILLED if is_filled else OPEN),
            client_order_id=known.order.client_order_id,
            created_at=known.created_at,
        )

    async def list_orders(self, account_id: int) -> list[CardOrderShown]:
        """Return the trader's latest orders, the newest first."""
        cards = await self._all()
        async with self._database.snapshot() as session:
            found = await VenueRepository(session).orders(
                account_id, CARD_SHARD, rows_max=LATEST_ORDERS_MAX
            )
        return [_order(cards[each.instrument_id], each) for each in found]

    async def get_order(self, account_id: int, order_id: int) -> CardOrderShown:
        """Return one of the trader's orders.

        Raises:
            OrderNotFound: absent, or another trader's.
        """
        cards = await self._all()
        async with self._database.snapshot() as session:
            found = await VenueRepository(session).order(account_id, CARD_SHARD, order_id)
        if found is None:
            raise OrderNotFound
        return _order(cards[found.instrument_id], found)

    async def list_trades(self, card_id: int) -> list[CardTradeShown]:
        """Return the card's latest trades, the newest first.

        Raises:
            CardUnknown: there is no such card.
        """
        card = await self._card(card_id)
        async with self._database.snapshot() as session:
            found = await VenueRepository(session).trades(card_id, None, LATEST_TRADES_MAX)
        return [
            CardTradeShown(
                id=each.id,
                card_id=card_id,
                price=_price(card, each.price),
                taker_side=CardSide(each.taker_side),
                traded_at=each.traded_at,
            )
            for each in found
        ]

    async def get_book(self, card_id: int) -> CardBook:
        """Return what waits at the best prices.

        Raises:
            CardUnknown: there is no such card.
            EngineElsewhere, VenueBusy: the book is not at hand.
        """
        card = await self._card(card_id)
        bids, asks = await self._engine.depth(card_id, BOOK_LEVELS_MAX)
        return CardBook(card_id=card_id, bids=_levels(card, bids), asks=_levels(card, asks))

    async def _all(self) -> Mapping[int, Instrument]:
        if not self._cards:
            async with self._database.snapshot() as session:
                found = await VenueRepository(session).instruments(CARD_SHARD)
            self._cards = {each.id: each for each in found}
        return self._cards

    async def _card(self, card_id: int) -> Instrument:
        card = (await self._all()).get(card_id)
        if card is None:
            raise CardUnknown
        return card


def _ticks(card: Instrument, price: Decimal) -> int:
    ticks = price * card.ticks_per_unit
    if ticks != int(ticks):
        tick = _price(card, 1)
        raise OrderRefused(f"The price is no multiple of {tick}.", facts={"rule": "price_tick"})
    if not card.price_ticks_min <= ticks <= card.price_ticks_max:
        low, high = _price(card, card.price_ticks_min), _price(card, card.price_ticks_max)
        raise OrderRefused(
            f"Prices of this card go from {low} to {high}.", facts={"rule": "price_range"}
        )
    return int(ticks)


def _price(card: Instrument, ticks: int) -> str:
    # As many decimals as the tick has: 1.00, not 1.
    decimals = len(str(card.ticks_per_unit)) - 1
    return f"{Decimal(ticks).scaleb(-decimals):.{decimals}f}"


def _card(card: Instrument) -> CardShown:
    return CardShown(
        id=card.id,
        symbol=card.symbol,
        name=card.name,
        quote_asset=card.quote_asset,
        price_tick=_price(card, 1),
        price_min=_price(card, card.price_ticks_min),
        price_max=_price(card, card.price_ticks_max),
    )


def _order(card: Instrument, order: Order) -> CardOrderShown:
    return CardOrderShown(
        id=order.id,
        card_id=card.id,
        side=CardSide(order.side),
        # Every order of cards names its price.
        price=_price(card, order.price or 0),
        status=CardOrderStatus(order.status),
        client_order_id=order.client_order_id,
        created_at=order.created_at,
    )


def _levels(card: Instrument, levels: Sequence[tuple[int, int]]) -> list[CardLevel]:
    return [CardLevel(price=_price(card, price), quantity=each) for price, each in levels]
