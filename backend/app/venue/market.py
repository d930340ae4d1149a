"""One instrument with its book: what orders of it cost, lock, pay and receive."""

from collections.abc import Iterator, Sequence
from typing import Final

from backend.app.venue.batch import Fill, Pocket
from backend.app.venue.commands import NewOrder
from backend.app.venue.events import Cancelled, Event, Traded
from backend.app.venue.instruments import FEE_ATOMS, Instrument
from backend.app.venue.open_orders import OpenOrder
from backend.app.venue.order_book import OrderBook
from backend.app.venue.orders import Side
from backend.app.venue.record import Record
from backend.app.venue.wallets import Moves, Whereabouts

_PPM: Final = 10**6
_BUY = Side.BUY
_new = tuple.__new__
_AVAILABLE, _LOCKED, _FEES = Pocket.AVAILABLE, Pocket.LOCKED, Pocket.FEES


class Market:
    """What is bought and sold of one instrument. Money moves only where there is a base asset."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.book = OrderBook()
        self.is_funded = instrument.base_asset is not None
        self._base = instrument.base_asset or ""
        self._quote = instrument.quote_asset
        self._lot = instrument.lot_atoms
        # Of the buyer and of the seller, when the buyer takes.
        self._rates = instrument.taker_fee_ppm, instrument.maker_fee_ppm
        self._tick_lot = instrument.tick_lot_atoms

    def lots_for(self, order: NewOrder) -> int:
        """Return how many lots the budget of a market buy pays for.

        One more where there are no more: like any market order that finds no more counterparts, it
        then ends with something untraded.
        """
        left, lots = order.budget or 0, 0
        for price, quantity in self._offers(order):
            affordable = left // (price * self._tick_lot)
            if affordable < quantity:
                return lots + affordable
            lots += quantity
            left -= quantity * price * self._tick_lot
        return lots + 1

    def asset_of(self, side: Side) -> str:
        """Return what an order of this side gives."""
        return self._quote if side is _BUY else self._base

    def needed(self, order: NewOrder, quantity: int) -> int:
        """Return how much of what it gives an order needs to be placed."""
        if order.side is not _BUY:
            return quantity * self._lot
        if order.price is not None:
            return quantity * order.price * self._tick_lot
        cost = 0
        for price, offered in self._offers(order):
            cost += price * min(offered, quantity)
            quantity -= offered
            if quantity <= 0:
                break
        return cost * self._tick_lot

    def lock(self, order: OpenOrder, quantity: int, moves: Moves) -> None:
        """Move what an order gives from available to locked; back, where `quantity` is negative."""
        if not self.is_funded:
            return
        amount, asset = self._reserve(order, quantity), self.asset_of(order.side)
        _move(moves, (order.account_id, asset, _AVAILABLE), -amount)
        _move(moves, (order.account_id, asset, _LOCKED), amount)

    def settle(self, events: Sequence[Event], record: Record, moves: Moves) -> None:
        """Note what happened in the book; pay for trades, and unlock what was cancelled."""
        if not events:
            return
        trade_id = record.next_trade_id
        record.tell(self.instrument.id, events)
        if not self.is_funded:
            return
        for event in events:
            if isinstance(event, Traded):
                record.fills += self._settle(event, trade_id, moves)
                trade_id += 1
            elif isinstance(event, Cancelled):
                self.lock(event.order, -event.quantity, moves)

    def _settle(self, trade: Traded, trade_id: int, moves: Moves) -> tuple[Fill, Fill]:
        maker, taker, price, quantity = trade
        buys = taker.side is _BUY
        buyer, seller = (taker, maker) if buys else (maker, taker)
        bought, value = quantity * self._lot, quantity * price * self._tick_lot
        rates = self._rates if buys else self._rates[::-1]
        buyer_fee, seller_fee = _fee(bought, rates[0]), _fee(value, rates[1])
        base, quote = self._base, self._quote
        # What a better price than its own spared goes back; a market buy pays from what it has.
        locked = self._reserve(buyer, quantity)
        _move(moves, (buyer.account_id, quote, _LOCKED), -locked)
        _move(moves, (buyer.account_id, quote, _AVAILABLE), locked - value)
        _move(moves, (buyer.account_id, base, _AVAILABLE), bought - buyer_fee)
        _move(moves, (seller.account_id, base, _LOCKED), -bought)
        _move(moves, (seller.account_id, quote, _AVAILABLE), value - seller_fee)
        _move(moves, (None, base, _FEES), buyer_fee)
        _move(moves, (None, quote, _FEES), seller_fee)
        fees = (seller_fee, buyer_fee) if buys else (buyer_fee, seller_fee)
        return (
            self._fill(trade, maker, trade_id, fees[0]),
            self._fill(trade, taker, trade_id, fees[1]),
        )

    def _fill(self, trade: Traded, order: OpenOrder, trade_id: int, fee: int) -> Fill:
        maker, _, price, quantity = trade
        whose = order.account_id, trade_id, self.instrument.id, order.order_id, order.side
        return _new(Fill, (*whose, order is maker, price, quantity, fee))

    def _reserve(self, order: OpenOrder, quantity: int) -> int:
        """Return what is locked for so much of an order: of a market buy nothing is."""
        if order.side is not _BUY:
            return quantity * self._lot
        return quantity * (order.price or 0) * self._tick_lot

    def _offers(self, order: NewOrder) -> Iterator[tuple[int, int]]:
        return self.book.offers(order.side, order.price, order.account_id, order.self_trade)


def _fee(received: int, ppm: int) -> int:
    return received * ppm // _PPM // FEE_ATOMS * FEE_ATOMS


def _move(moves: Moves, where: Whereabouts, amount: int) -> None:
    if amount:
        moves[where] = moves.get(where, 0) + amount
