"""What the market in memory remembers of its accounts: their orders, fills and deposits."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from backend.app.exchanges.market_values import Deposit, Fill, Market, Order
from backend.app.sandbox import venue_words
from backend.app.services.venue.amounts import in_decimal
from backend.app.venue.batch import Batch, OrderChange, PlacedOrder
from backend.app.venue.commands import MoveFunds
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument

CLOSED_ORDERS_PER_ACCOUNT_MAX: Final = 500
FILLS_PER_ACCOUNT_MAX: Final = 1_000


class Traded(NamedTuple):
    """One market, as the doors and as the core know it."""

    market: Market
    instrument: Instrument


class AccountPast:
    """One account's; of what has ended, the oldest is forgotten first."""

    def __init__(self) -> None:
        self.open: dict[int, Order] = {}
        self.closed: OrderedDict[int, Order] = OrderedDict()
        self.fills: deque[Fill] = deque(maxlen=FILLS_PER_ACCOUNT_MAX)
        self.deposits: list[Deposit] = []
        self.assets: set[str] = set()
        """All it ever held."""

    def order(self, order_id: int) -> Order | None:
        """Return one of its orders, if it is remembered."""
        return self.open.get(order_id) or self.closed.get(order_id)

    def orders(self) -> Iterator[Order]:
        """Walk its orders, first those that have ended."""
        yield from self.closed.values()
        yield from self.open.values()

    def keep(self, order: Order) -> None:
        """Remember an order as it stands now."""
        if order.is_open:
            self.open[order.order_id] = order
            return
        self.open.pop(order.order_id, None)
        self.closed[order.order_id] = order
        if len(self.closed) > CLOSED_ORDERS_PER_ACCOUNT_MAX:
            self.closed.popitem(last=False)


class MemoryPast:
    """Every account's. Who has no account here, as the house, leaves no trace."""

    def __init__(self, traded: Mapping[int, Traded]) -> None:
        self._traded = traded
        self._accounts: dict[int, AccountPast] = {}
        # Whose an open order is, and what it is of.
        self._open: dict[int, tuple[AccountPast, Traded]] = {}

    def open_account(self, account_id: int) -> None:
        """Remember what an account does from now on."""
        self._accounts[account_id] = AccountPast()

    def of(self, account_id: int) -> AccountPast:
        """Return what is remembered of an account."""
        return self._accounts[account_id]

    def take(self, batch: Batch, now_ms: int) -> None:
        """Remember what a batch brought about."""
        for placed in batch.placed:
            if (past := self._accounts.get(placed.order.account_id)) is not None:
                self._place(past, placed, now_ms)
        for order_id, change in batch.changed.items():
            if order_id in self._open:
                self._change(order_id, change, now_ms)
        for fill in batch.fills:
            if (past := self._accounts.get(fill.account_id)) is not None:
                traded = self._traded[fill.instrument_id]
                past.fills.append(venue_words.fresh_fill(*traded, fill, now_ms))
                past.assets |= {traded.market.base, traded.market.quote}
        for number, command in enumerate(batch.commands, batch.first_number):
            if isinstance(command, MoveFunds) and command.account_id in self._accounts:
                self._give(number, command, now_ms)

    def _place(self, past: AccountPast, placed: PlacedOrder, now_ms: int) -> None:
        traded = self._traded[placed.order.instrument_id]
        order = venue_words.fresh_order(*traded, placed, now_ms)
        past.keep(order)
        if order.is_open:
            self._open[order.order_id] = past, traded

    def _change(self, order_id: int, change: OrderChange, now_ms: int) -> None:
        past, traded = self._open[order_id]
        before = past.open[order_id]
        order = venue_words.changed_order(before, traded.instrument, change, now_ms)
        past.keep(order)
        if not order.is_open:
            del self._open[order_id]

    def _give(self, number: int, command: MoveFunds, now_ms: int) -> None:
        past = self._accounts[command.account_id]
        amount = in_decimal(command.amount, ATOMS_PER_UNIT)
        past.deposits.append(Deposit(number, command.asset, amount, now_ms))
        past.assets.add(command.asset)
