"""Commands for a shard as Hypothesis makes them up, and tables that batches are written into."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import strategies as st

from backend.app.venue.batch import Batch, Done, Fill, Line, OrderStatus, Refused, Trade
from backend.app.venue.books import Books
from backend.app.venue.commands import CancelAllOrders, CancelOrder, Command, MoveFunds, NewOrder
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce
from backend.tests.support.instruments import BTC_USDT, CARDS, ETH_BTC

INSTRUMENTS = (CARDS[0], BTC_USDT, ETH_BTC)
ASSETS = ("BTC", "ETH", "USDT")
_NONSENSE = st.sampled_from((-1, 0, 2**53 + 1, 2**70))
_ACCOUNTS = st.integers(1, 3)
_PRICES = st.integers(1, 9)
_INSTRUMENT_IDS = st.sampled_from([each.id for each in INSTRUMENTS])


@st.composite
def new_orders(draw: st.DrawFn) -> NewOrder:
    """Mostly orders that make sense, from three accounts at nine prices."""
    kind = draw(st.sampled_from(OrderType))
    makes_sense = draw(st.integers(0, 14))
    numbers = _PRICES if makes_sense else st.one_of(st.none(), _PRICES, _NONSENSE)
    is_market, is_stop = kind is OrderType.MARKET, kind is OrderType.STOP_LIMIT
    side = draw(st.sampled_from(Side))
    budgets = st.none()
    if is_market and side is Side.BUY:
        budgets = st.one_of(st.none(), st.integers(1, 40).map(lambda units: units * 10**5 - 7))
    budget = draw(budgets if makes_sense else st.one_of(st.none(), st.integers(-1, 10**6)))
    quantity = draw(st.integers(1, 9) if makes_sense else st.one_of(st.integers(-1, 3), _NONSENSE))
    return NewOrder(
        account_id=draw(_ACCOUNTS),
        instrument_id=draw(_INSTRUMENT_IDS),
        side=side,
        price=None if is_market and makes_sense else draw(numbers),
        quantity=0 if budget is not None and makes_sense else quantity,
        client_order_id=draw(st.one_of(st.none(), st.text("ab:\"'\\é", min_size=1, max_size=4))),
        type=kind,
        time_in_force=draw(st.sampled_from((*TimeInForce, TimeInForce.GTC, TimeInForce.GTC))),
        stop_price=draw(numbers) if is_stop or not makes_sense else None,
        self_trade=draw(st.sampled_from((*SelfTrade, SelfTrade.ALLOW))),
        budget=budget,
    )


_TRANSFERS = st.builds(
    MoveFunds,
    _ACCOUNTS,
    st.sampled_from(ASSETS),
    st.one_of(st.integers(0, 10**9), st.integers(-(10**8), 10**8)),
    st.text("ab", max_size=2),
)
_CANCELS = st.builds(
    CancelOrder,
    _ACCOUNTS,
    st.one_of(_INSTRUMENT_IDS, st.just(99)),
    st.integers(1, 60),
)
_CANCELS_OF_ALL = st.builds(
    CancelAllOrders,
    _ACCOUNTS,
    st.one_of(st.none(), _INSTRUMENT_IDS),
)
COMMANDS = st.one_of(
    new_orders(), new_orders(), new_orders(), new_orders(), _CANCELS, _CANCELS_OF_ALL, _TRANSFERS
)


@st.composite
def stories(draw: st.DrawFn) -> list[Command]:
    """Everybody is given something first; then anything happens."""
    gifts: list[Command] = [
        MoveFunds(account, asset, draw(st.integers(1, 10)) * 5 * 10**7, "gift")
        for account in (1, 2, 3)
        for asset in ASSETS
        if draw(st.integers(0, 5))
    ]
    return gifts + draw(st.lists(COMMANDS, max_size=45))


CUTS = st.sets(st.integers(1, 50), max_size=8)


def cut(story: Sequence[Command], cuts: set[int]) -> list[Sequence[Command]]:
    """Return the story in pieces."""
    ends = [*sorted(each for each in cuts if each < len(story)), len(story)]
    return [story[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


class Tables:
    """What is stored of the batches of a shard."""

    def __init__(self) -> None:
        self.outcomes: list[Done | Refused] = []
        self.commands: list[Command] = []
        # By order id: executed, value, status.
        self.orders: dict[int, tuple[int, int, OrderStatus]] = {}
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.lines: list[Line] = []

    def write(self, batch: Batch) -> None:
        """Write one more batch."""
        self.outcomes += batch.outcomes
        self.commands += batch.commands
        for number, change in batch.changed.items():
            executed, value, _ = self.orders[number]
            self.orders[number] = executed + change.executed, value + change.value, change.status
        for placed in batch.placed:
            self.orders[placed.id] = placed.executed, placed.value, placed.status
        self.trades += batch.trades
        self.fills += batch.fills
        self.lines += batch.lines

    def balances(self) -> Counter[tuple[int | None, str, str]]:
        """What the lines of every pocket sum up to."""
        balances: Counter[tuple[int | None, str, str]] = Counter()
        for _, account, asset, pocket, amount in self.lines:
            balances[account, asset, pocket] += amount
        return balances


def told(books: Books, *batches: Sequence[Command]) -> Tables:
    """Carry out batches, and return what is stored of them."""
    tables = Tables()
    for commands in batches:
        tables.write(books.carry_out(commands))
    return tables
