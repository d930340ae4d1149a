"""The books and wallets of one shard, and what a batch of commands does to them."""

import gc
from collections.abc import Generator, Iterable, Iterator, Sequence

from backend.app.venue.batch import Batch, Done, Outcome, Pocket, Refused
from backend.app.venue.commands import CancelAllOrders, CancelOrder, Command, MoveFunds, NewOrder
from backend.app.venue.events import Event, RejectReason
from backend.app.venue.instruments import Instrument
from backend.app.venue.market import Market
from backend.app.venue.open_orders import OpenOrder, StopOrder
from backend.app.venue.orders import (
    PRICE_MAX,
    QUANTITY_MAX,
    OrderType,
    Place,
    SelfTrade,
    Side,
    TimeInForce,
)
from backend.app.venue.record import Record
from backend.app.venue.snapshot_form import BookState, Snapshot
from backend.app.venue.snapshot_steps import ORDERS_A_STEP, state_in_steps
from backend.app.venue.wallets import Holding, Moves, Wallets

_LIMIT, _GTC, _ALLOW = OrderType.LIMIT, TimeInForce.GTC, SelfTrade.ALLOW
_TOO_MANY = Refused(RejectReason.TOO_MANY_OPEN_ORDERS)
_TOO_LITTLE = Refused(RejectReason.INSUFFICIENT_FUNDS)
_new = tuple.__new__


class OrderImpossible(Exception):
    """What a service or the journal has vouched for is not so: a defect, or damage."""


class Books:
    """All books of one shard, and its wallets. What it does follows from its input.

    It numbers commands and trades.
    """

    def __init__(
        self, instruments: Iterable[Instrument], next_number: int, next_trade_id: int
    ) -> None:
        self._markets = {each.id: Market(each) for each in instruments}
        self._wallets = Wallets()
        self._next_number = next_number
        self._next_trade_id = next_trade_id

    @classmethod
    def restored(cls, instruments: Iterable[Instrument], snapshot: Snapshot) -> "Books":
        """Return the books that a snapshot was made of. They will do as those would have done.

        Raises:
            OrderImpossible: an instrument is missing, or a book is crossed.
        """
        books = cls(instruments, snapshot.next_number, snapshot.next_trade_id)
        # Nothing of it is garbage: looking for some would take half of the time (bench/venue.py).
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            for state in snapshot.books:
                books._restore(state)
            for holding in snapshot.holdings:
                books._wallets.put(holding)
            return books
        finally:
            if was_collecting:
                gc.enable()

    def snapshot(self) -> Snapshot:
        """Return all there is to know, apart from the instruments."""
        steps = self.snapshot_in_steps()
        while True:
            try:
                next(steps)
            except StopIteration as ended:
                whole: Snapshot = ended.value
                return whole

    def snapshot_in_steps(self) -> Generator[None, None, Snapshot]:
        """Return the same, in steps: nothing may be carried out before the last of them."""
        books = []
        for number, market in self._markets.items():
            books.append((yield from state_in_steps(number, market.book)))
        holdings: list[Holding] = []
        for each in self._wallets.holdings():
            holdings.append(each)
            if not len(holdings) % ORDERS_A_STEP:
                yield
        return Snapshot(self._next_number, self._next_trade_id, books, holdings)

    def carry_out(self, commands: Sequence[Command]) -> Batch:
        """Carry the commands out one by one, and return what is to be written and answered.

        Raises:
            OrderImpossible: one names no instrument of this shard. These books are then worth
                nothing.
        """
        # A batch makes no garbage that goes in circles: looking for some meanwhile would take a
        # third of the time (bench/matching.py).
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            record = Record(self._next_number, self._next_trade_id)
            self._carry_out_all(commands, record)
            self._next_number, self._next_trade_id = record.next_number, record.next_trade_id
            return record.batch()
        finally:
            if was_collecting:
                gc.enable()

    def depth(self, instrument_id: int, side: Side, levels_max: int) -> list[tuple[int, int]]:
        """Return the best prices of a side of a book, each with what rests at it."""
        return self._markets[instrument_id].book.depth(side, levels_max)

    def open_orders_of(self, account_id: int, instrument_id: int | None) -> list[int]:
        """Return the ids of an account's open orders, of one instrument or of all: newest first."""
        books = (
            market.book
            for number, market in self._markets.items()
            if instrument_id in (None, number)
        )
        return sorted((each for book in books for each in book.open_of(account_id)), reverse=True)

    def open_orders(self) -> Iterator[tuple[int, int]]:
        """Walk what is open anywhere: each order's id and what is left of it."""
        for market in self._markets.values():
            for order in (*market.book.resting(), *market.book.waiting()):
                yield order.order_id, order.left

    def holdings(self) -> Iterator[Holding]:
        """Walk what anybody has, by account and asset."""
        return self._wallets.holdings()

    def _carry_out_all(self, commands: Sequence[Command], record: Record) -> None:
        markets, outcomes, carried = self._markets, record.outcomes, record.commands
        placed, orders = record.placed, record.orders
        for command in commands:
            if type(command) is NewOrder:
                account, instrument, side, price, quantity, _, kind, force, stop, stp, budget = (
                    command
                )
                market = markets.get(instrument)
                # The short way, for most orders; all others go the long one (bench/matching.py).
                if (
                    market is not None
                    and kind is _LIMIT
                    and force is _GTC
                    and stop is None
                    and stp is _ALLOW
                    and budget is None
                    and price is not None
                    and 0 < price <= PRICE_MAX
                    and 0 < quantity <= QUANTITY_MAX
                ):
                    if market.is_funded and not self._affords(market, command, quantity):
                        outcomes.append(_TOO_LITTLE)
                        continue
                    number = record.next_number
                    order = OpenOrder(number, account, side, price, quantity)
                    events = market.book.add(order, price)
                    if events is None:
                        outcomes.append(_TOO_MANY)
                        continue
                    outcomes.append(_new(Done, (number, ())))
                    carried.append(command)
                    placed.append(order)
                    orders.append(command)
                    if market.is_funded:
                        self._pay(market, order, quantity, events, record)
                    elif events:
                        record.tell(instrument, events)
                    record.next_number = number + 1
                    continue
            outcome = self._carry_out(command, record)
            outcomes.append(outcome)
            if isinstance(outcome, Done):
                record.next_number += 1
                carried.append(command)

    def _carry_out(self, command: Command, record: Record) -> Outcome:
        if isinstance(command, NewOrder):
            return self._place(command, record)
        if isinstance(command, CancelOrder):
            return self._cancel(command, record)
        if isinstance(command, CancelAllOrders):
            return self._cancel_all(command, record)
        return self._move_funds(command, record)

    def _place(self, order: NewOrder, record: Record) -> Outcome:
        market = self._markets.get(order.instrument_id)
        if market is None:
            raise OrderImpossible(f"instrument {order.instrument_id}")
        quantity = order.quantity
        if order.budget is not None:
            unfit = _unfit_budget(order)
            if unfit is not None:
                return Refused(unfit)
            quantity = market.lots_for(order)
            if not quantity:
                return Refused(RejectReason.BUDGET_TOO_SMALL)
        account, _, side, price, _, _, kind, force, stop_price, self_trade, _ = order
        place = Place(
            record.next_number,
            account,
            side,
            quantity,
            price,
            kind,
            force,
            stop_price,
            self_trade,
        )
        reason = market.book.refusal(place)
        if reason is not None:
            return Refused(reason)
        if market.is_funded and not self._affords(market, order, quantity):
            return _TOO_LITTLE
        # Here it is decided: from now on, nothing is refused.
        events: list[Event] = []
        placed = market.book.place(place, events)
        record.placed.append(placed)
        record.orders.append(order)
        self._pay(market, placed, quantity, events, record)
        return Done(record.next_number)

    def _affords(self, market: Market, order: NewOrder, quantity: int) -> bool:
        available = self._wallets.available(order.account_id, market.asset_of(order.side))
        return market.needed(order, quantity) <= available

    def _pay(
        self,
        market: Market,
        order: OpenOrder,
        quantity: int,
        events: Sequence[Event],
        record: Record,
    ) -> None:
        moves: Moves = {}
        market.lock(order, quantity, moves)
        market.settle(events, record, moves)
        record.lines += self._wallets.book(record.next_number, moves)

    def _cancel(self, command: CancelOrder, record: Record) -> Outcome:
        market = self._markets.get(command.instrument_id)
        if market is None:
            return Refused(RejectReason.NOT_OPEN)
        cancelled = market.book.cancel(command.order_id, command.account_id)
        if cancelled is None:
            return Refused(RejectReason.NOT_OPEN)
        moves: Moves = {}
        market.settle([cancelled], record, moves)
        record.lines += self._wallets.book(record.next_number, moves)
        return Done(record.next_number, (command.order_id,))

    def _cancel_all(self, command: CancelAllOrders, record: Record) -> Outcome:
        moves: Moves = {}
        cancelled: list[int] = []
        for number, market in self._markets.items():
            if command.instrument_id in (None, number):
                events = market.book.cancel_all(command.account_id)
                market.settle(events, record, moves)
                cancelled += [event.order.order_id for event in events]
        record.lines += self._wallets.book(record.next_number, moves)
        return Done(record.next_number, tuple(sorted(cancelled)))

    def _restore(self, state: BookState) -> None:
        market = self._markets.get(state.instrument_id)
        if market is None:
            raise OrderImpossible(f"instrument {state.instrument_id}")
        book = market.book
        book.last_price = state.last_price
        for order_id, account, side, price, left in zip(*state.resting, strict=True):
            book.rest(OpenOrder(order_id, account, side, price, left), price)
        for place in state.waiting:
            book.wait(StopOrder(place, place.stop_price or 0))
        if book.is_crossed:
            raise OrderImpossible(f"the book of instrument {state.instrument_id} is crossed")

    def _move_funds(self, command: MoveFunds, record: Record) -> Outcome:
        account, asset, amount, _ = command
        if not amount:
            return Refused(RejectReason.QUANTITY_OUT_OF_RANGE)
        if -amount > self._wallets.available(account, asset):
            return Refused(RejectReason.INSUFFICIENT_FUNDS)
        moves: Moves = {
            (account, asset, Pocket.AVAILABLE): amount,
            (None, asset, Pocket.BANK): -amount,
        }
        record.lines += self._wallets.book(record.next_number, moves)
        return Done(record.next_number)


def _unfit_budget(order: NewOrder) -> RejectReason | None:
    if order.type is not OrderType.MARKET or order.side is not Side.BUY:
        return RejectReason.BUDGET_NOT_ALLOWED
    if order.quantity:
        return RejectReason.QUANTITY_OUT_OF_RANGE
    return None if order.budget and order.budget > 0 else RejectReason.BUDGET_TOO_SMALL
