"""The card market: four instruments of the venue, one card an order, unlimited means."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from backend.app.database import Database
from backend.app.errors import CardUnknown, OrderNotFound, OrderRefused, StrongroomError
from backend.app.models.venue import Order
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
from backend.app.services.venue.desk import Answer, Known, VenueDesk
from backend.app.services.venue.remote import given_name
from backend.app.services.venue.spot_markets import ShardMarkets
from backend.app.venue.commands import CancelOrder, NewOrder
from backend.app.venue.instruments import Instrument
from backend.app.venue.orders import Side

CARD_SHARD: Final = 0
LATEST_ORDERS_MAX: Final = 50
LATEST_TRADES_MAX: Final = 50
BOOK_LEVELS_MAX: Final = 50
_CARDS_AN_ORDER: Final = 1


class CardService:
    """What a trader may do and see. Traders are accounts: users, or whom a trusted proxy names."""

    def __init__(self, database: Database, markets: ShardMarkets, desk: VenueDesk) -> None:
        self._database = database
        self._markets = markets
        self._desk = desk

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
            OrderRefused: the price is none of this card's, or no orders are taken now.
            ClientOrderIdTaken: another order has this id.
            EngineElsewhere, VenueBusy: nothing was placed.
            OrderOutcomeUnknown: it may have been placed, or not.
        """
        card = await self._card(asked.card_id)
        if not card.is_active:
            halted = {"rule": "market_halted"}
            raise OrderRefused("This card takes no orders now.", facts=halted)
        order = NewOrder(
            account_id,
            card.id,
            Side(asked.side.value),
            _ticks(card, asked.price),
            _CARDS_AN_ORDER,
            asked.client_order_id,
        )
        [answer] = await self._desk.carry_out((order,))
        if isinstance(answer, StrongroomError):
            raise answer
        return _placed(card, answer)

    async def cancel(self, account_id: int, order_id: int) -> CardOrderShown:
        """Take an open order back and return it as it ended.

        Raises:
            OrderNotFound: absent, or another trader's.
            OrderNotOpen: it was filled or cancelled before.
            EngineElsewhere, VenueBusy: nothing was cancelled.
            OrderOutcomeUnknown: it may have been cancelled, or not.
        """
        order = await self.get_order(account_id, order_id)
        [answer] = await self._desk.carry_out((CancelOrder(account_id, order.card_id, order_id),))
        if isinstance(answer, StrongroomError):
            raise answer
        return await self.get_order(account_id, order_id)

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
        bids, asks = await self._desk.depth(card_id, BOOK_LEVELS_MAX)
        return CardBook(card_id=card_id, bids=_levels(card, bids), asks=_levels(card, asks))

    async def _all(self) -> Mapping[int, Instrument]:
        return (await self._markets.all()).by_id

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
        client_order_id=given_name(order.client_order_id),
        created_at=order.created_at,
    )


def _placed(card: Instrument, answer: Answer) -> CardOrderShown:
    assert isinstance(answer, Known)  # noqa: S101 - what a new order is answered with
    return CardOrderShown(
        id=answer.id,
        card_id=card.id,
        side=CardSide(answer.order.side.value),
        price=_price(card, answer.order.price or 0),
        status=CardOrderStatus(answer.status.value),
        client_order_id=given_name(answer.order.client_order_id),
        created_at=answer.created_at,
    )


def _levels(card: Instrument, levels: Sequence[tuple[int, int]]) -> list[CardLevel]:
    return [CardLevel(price=_price(card, price), quantity=each) for price, each in levels]
