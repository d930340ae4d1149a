"""A shard that is obviously right: reference books, and money counted anew after each command.

Nothing is booked as it happens. What an account has is what it was given, plus and minus every
trade it ever made; what is locked is what its open orders would cost.
"""

from collections import Counter
from dataclasses import dataclass

from backend.app.venue.batch import OrderStatus
from backend.app.venue.commands import CancelAllOrders, CancelOrder, Command, MoveFunds, NewOrder
from backend.app.venue.events import RejectReason
from backend.app.venue.instruments import ATOMS_PER_UNIT, FEE_ATOMS, Instrument
from backend.app.venue.orders import OrderType, Place, SelfTrade, Side
from backend.tests.support.reference_book import (
    Cancel,
    CancelAll,
    Cancelled,
    ReferenceBook,
    Rejected,
    Traded,
)


@dataclass
class Sale:
    """A trade, as both its sides see it."""

    instrument: Instrument
    buyer_id: int
    seller_id: int
    taker_id: int
    price: int
    quantity: int

    @property
    def base(self) -> int:
        return self.quantity * ATOMS_PER_UNIT // self.instrument.lots_per_unit

    @property
    def quote(self) -> int:
        return cost(self.instrument, self.price, self.quantity)

    def fee(self, order_id: int) -> int:
        received = self.base if order_id == self.buyer_id else self.quote
        maker_ppm, taker_ppm = self.instrument.maker_fee_ppm, self.instrument.taker_fee_ppm
        ppm = taker_ppm if order_id == self.taker_id else maker_ppm
        return received * ppm // 1_000_000 // FEE_ATOMS * FEE_ATOMS


def cost(instrument: Instrument, price: int, quantity: int) -> int:
    each = ATOMS_PER_UNIT // instrument.ticks_per_unit // instrument.lots_per_unit
    return price * quantity * each


class ReferenceVenue:
    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self.instruments = {each.id: each for each in instruments}
        self.books = {each.id: ReferenceBook() for each in instruments}
        self.number = 1
        self.given: Counter[tuple[int, str]] = Counter()
        self.sales: list[Sale] = []
        # Every order there ever was, with its number of lots.
        self.orders: dict[int, tuple[NewOrder, int]] = {}
        self.cancelled: set[int] = set()

    def apply(self, command: Command) -> RejectReason | None:
        """Carry a command out, or say why not."""
        if isinstance(command, NewOrder):
            reason = self.place(command)
        elif isinstance(command, CancelOrder):
            reason = self.cancel(command)
        elif isinstance(command, CancelAllOrders):
            for number, book in self.books.items():
                if command.instrument_id in (None, number):
                    self.tell(number, book.apply(CancelAll(command.account_id)))
            reason = None
        else:
            reason = self.move(command)
        self.number += reason is None
        return reason

    def place(self, order: NewOrder) -> RejectReason | None:
        lots = order.quantity
        if order.budget is not None:
            if order.type is not OrderType.MARKET or order.side is Side.SELL:
                return RejectReason.BUDGET_NOT_ALLOWED
            if order.quantity:
                return RejectReason.QUANTITY_OUT_OF_RANGE
            lots = self.lots_for(order) if order.budget > 0 else 0
            if not lots:
                return RejectReason.BUDGET_TOO_SMALL
        place = Place(
            self.number,
            order.account_id,
            order.side,
            lots,
            order.price,
            order.type,
            order.time_in_force,
            order.stop_price,
            order.self_trade,
        )
        book = self.books[order.instrument_id]
        reason = book.reject(place)
        if reason is not None:
            return reason
        instrument = self.instruments[order.instrument_id]
        if instrument.base_asset is not None and self.lacks(order, place, instrument):
            return RejectReason.INSUFFICIENT_FUNDS
        self.orders[self.number] = order, lots
        self.tell(order.instrument_id, book.apply(place))
        return None

    def lots_for(self, order: NewOrder) -> int:
        """Buy lot by lot, in thought; one more where there are no more."""
        instrument, budget = self.instruments[order.instrument_id], order.budget or 0
        bought = 0
        for price in self.lot_prices(order):
            budget -= cost(instrument, price, 1)
            if budget < 0:
                return bought
            bought += 1
        return bought + 1

    def lot_prices(self, order: NewOrder) -> list[int]:
        """The prices of all lots a market buy can have, one after the other."""
        prices: list[int] = []
        wanted = Place(0, order.account_id, order.side, 1, None, OrderType.MARKET)
        for maker in self.books[order.instrument_id].counterparts(wanted):
            if maker.place.account_id == order.account_id:
                if order.self_trade in (SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_BOTH):
                    break
                if order.self_trade is SelfTrade.CANCEL_MAKER:
                    continue
            prices += [maker.place.price or 0] * maker.left
        return prices

    def lacks(self, order: NewOrder, place: Place, instrument: Instrument) -> bool:
        if place.side is Side.SELL:
            asset = instrument.base_asset or ""
            needed = place.quantity * ATOMS_PER_UNIT // instrument.lots_per_unit
        else:
            asset = instrument.quote_asset
            prices = self.lot_prices(order)[: place.quantity]
            if place.price is not None:
                prices = [place.price] * place.quantity
            needed = sum(cost(instrument, price, 1) for price in prices)
        return needed > self.wallets().get((order.account_id, asset), (0, 0))[0]

    def cancel(self, command: CancelOrder) -> RejectReason | None:
        book = self.books.get(command.instrument_id)
        if book is None:
            return RejectReason.NOT_OPEN
        events = book.apply(Cancel(command.order_id, command.account_id))
        if any(isinstance(each, Rejected) for each in events):
            return RejectReason.NOT_OPEN
        self.tell(command.instrument_id, events)
        return None

    def move(self, command: MoveFunds) -> RejectReason | None:
        if not command.amount:
            return RejectReason.QUANTITY_OUT_OF_RANGE
        wallet = command.account_id, command.asset
        if self.wallets().get(wallet, (0, 0))[0] + command.amount < 0:
            return RejectReason.INSUFFICIENT_FUNDS
        self.given[wallet] += command.amount
        return None

    def tell(self, instrument_id: int, events: list) -> None:  # type: ignore[type-arg]
        for each in events:
            if isinstance(each, Traded):
                maker, taker = each.maker_order_id, each.taker_order_id
                buys = self.orders[taker][0].side is Side.BUY
                buyer, seller = (taker, maker) if buys else (maker, taker)
                instrument = self.instruments[instrument_id]
                self.sales.append(Sale(instrument, buyer, seller, taker, each.price, each.quantity))
            elif isinstance(each, Cancelled):
                self.cancelled.add(each.order_id)

    def owner(self, order_id: int) -> int:
        return self.orders[order_id][0].account_id

    def wallets(self) -> dict[tuple[int, str], tuple[int, int]]:
        """What everybody has, available and locked; nothing is left out of nothing."""
        total, locked = Counter(self.given), Counter[tuple[int, str]]()
        for sale in self.sales:
            base, quote = sale.instrument.base_asset, sale.instrument.quote_asset
            if base is None:
                continue
            buyer, seller = self.owner(sale.buyer_id), self.owner(sale.seller_id)
            total[buyer, quote] -= sale.quote
            total[buyer, base] += sale.base - sale.fee(sale.buyer_id)
            total[seller, base] -= sale.base
            total[seller, quote] += sale.quote - sale.fee(sale.seller_id)
        for number, book in self.books.items():
            instrument = self.instruments[number]
            for each in book.open if instrument.base_asset else ():
                owner, price = each.place.account_id, each.place.price or 0
                if each.place.side is Side.BUY:
                    locked[owner, instrument.quote_asset] += cost(instrument, price, each.left)
                else:
                    lots = each.left * ATOMS_PER_UNIT // instrument.lots_per_unit
                    locked[owner, instrument.base_asset or ""] += lots
        return {
            wallet: (total[wallet] - locked[wallet], locked[wallet])
            for wallet in total
            if total[wallet]
        }

    def stands(self) -> dict[int, tuple[int, int, OrderStatus]]:
        """How every order stands: what it traded, at what value, and its status."""
        return {number: self.order_stands(number) for number in self.orders}

    def order_stands(self, number: int) -> tuple[int, int, OrderStatus]:
        mine = [each for each in self.sales if number in (each.buyer_id, each.seller_id)]
        executed = sum(each.quantity for each in mine)
        value = sum(each.quantity * each.price for each in mine)
        waits = any(
            each.waits
            for book in self.books.values()
            for each in book.open
            if each.place.order_id == number
        )
        if number in self.cancelled:
            status = OrderStatus.CANCELLED
        elif executed == self.orders[number][1]:
            status = OrderStatus.FILLED
        elif executed:
            status = OrderStatus.PARTIALLY_FILLED
        else:
            status = OrderStatus.WAITING if waits else OrderStatus.OPEN
        return executed, value, status
