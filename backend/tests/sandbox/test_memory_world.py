"""The laws of the market in memory, whatever accounts do and however the price moves."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from backend.app.sandbox.accounts import seeded_accounts
from backend.app.sandbox.house import LEVELS
from backend.app.sandbox.memory_desk import HOUSE_ATOMS
from backend.app.sandbox.memory_past import CLOSED_ORDERS_PER_ACCOUNT_MAX
from backend.app.sandbox.memory_world import OPEN_ORDERS_PER_ACCOUNT_MAX, MemoryWorld
from backend.app.sandbox.prices import DAY_MS
from backend.app.venue.instruments import ATOMS_PER_UNIT
from backend.tests.support.at_once import AtOnce

START_MS = 1_795_259_228_000
ACCOUNTS = ("binance:full", "binance:second", "okx:full", "gate:empty")
SYMBOLS = ("BTC/USDT", "ETH/BTC")
OPEN = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


class Clock:
    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


def new_world(clock: Callable[[], int]) -> AtOnce:
    return AtOnce(MemoryWorld(b"a seed", clock, seeded_accounts(b"a seed", START_MS)))


def limit(symbol: str, side: Side, amount: str, price: Decimal) -> OrderRequest:
    return OrderRequest(symbol, side, OrderType.LIMIT, Decimal(amount), price)


def market(symbol: str, side: Side, amount: str) -> OrderRequest:
    return OrderRequest(symbol, side, OrderType.MARKET, Decimal(amount), None)


def held(world: AtOnce, account: str, asset: str) -> Balance:
    found = [balance for balance in world.balances(account) if balance.asset == asset]
    return found[0] if found else Balance(asset, Decimal(0))


def assert_kept(order: Order) -> None:
    """What stands after an order came in is what its time in force allows."""
    match order.time_in_force:
        case TimeInForce.IOC:
            assert order.status not in OPEN
        case TimeInForce.FOK:
            assert order.status is OrderStatus.FILLED or not (order.filled or order.is_open)
        case TimeInForce.POST_ONLY:
            assert not order.filled


class MoneyLaws(RuleBasedStateMachine):
    """Accounts trade with the house and with each other while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.world = new_world(self.clock)
        self.placed: list[tuple[str, int]] = []

    @rule(
        account=st.sampled_from(ACCOUNTS),
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(Side),
        steps=st.integers(1, 30_000),
        away_parts=st.integers(-300, 300),
        time_in_force=st.sampled_from(TimeInForce),
    )
    def place_limit(
        self,
        account: str,
        symbol: str,
        side: Side,
        steps: int,
        away_parts: int,
        time_in_force: TimeInForce,
    ) -> None:
        of, last = self.world.market(symbol), self.world.ticker(symbol).last
        price = (last * (10_000 + away_parts) / 10_000) // of.tick_size * of.tick_size
        asked = OrderRequest(
            symbol,
            side,
            OrderType.LIMIT,
            of.step_size * steps,
            price,
            time_in_force=time_in_force,
        )
        order = self._place(account, asked)
        if order is not None:
            assert_kept(order)

    @rule(
        account=st.sampled_from(ACCOUNTS),
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(Side),
        steps=st.integers(1, 200_000),
    )
    def place_market(self, account: str, symbol: str, side: Side, steps: int) -> None:
        amount = self.world.market(symbol).step_size * steps
        self._place(account, OrderRequest(symbol, side, OrderType.MARKET, amount, None))

    @rule(account=st.sampled_from(ACCOUNTS), budget=st.decimals("0.01", 90_000, places=2))
    def spend(self, account: str, budget: Decimal) -> None:
        asked = OrderRequest("BTC/USDT", Side.BUY, OrderType.MARKET, None, None, budget)
        before, known = held(self.world, account, "USDT").total, self.world.fills(account)
        order = self._place(account, asked)
        spent = before - held(self.world, account, "USDT").total
        # Its own resting orders may have sold some of it.
        fills = [fill for fill in self.world.fills(account) if fill not in known]
        assert spent <= budget
        assert spent == sum(f.cost if f.side is Side.BUY else -f.cost for f in fills)
        assert order is None or order.filled_quote <= budget

    @precondition(lambda self: self.placed)
    @rule(which=st.integers(0))
    def cancel(self, which: int) -> None:
        account, order_id = self.placed[which % len(self.placed)]
        was_open = self.world.order(account, order_id).status in OPEN
        if was_open:
            assert self.world.cancel(account, order_id).status is OrderStatus.CANCELLED
        with pytest.raises(OrderRefused, match="order_not_found"):
            self.world.cancel(account, order_id)

    @rule(later_ms=st.integers(0, 3 * DAY_MS))
    def let_time_pass(self, later_ms: int) -> None:
        self.clock.now_ms += later_ms

    @rule(back_ms=st.integers(0, DAY_MS))
    def let_the_clock_go_back(self, back_ms: int) -> None:
        self.clock.now_ms -= back_ms

    @invariant()
    def money_is_neither_made_nor_lost(self) -> None:
        totals: defaultdict[str, int] = defaultdict(int)
        for holding in self.world.desk.holdings():
            totals[holding.asset] += holding.available + holding.locked
        for account in ACCOUNTS:
            for deposit in self.world.deposits(account):
                totals[deposit.asset] -= int(deposit.amount * ATOMS_PER_UNIT)
        assert set(totals.values()) == {HOUSE_ATOMS}

    @invariant()
    def nobody_owes(self) -> None:
        for holding in self.world.desk.holdings():
            assert min(holding.available, holding.locked) >= 0

    @invariant()
    def what_is_locked_is_what_open_orders_need(self) -> None:
        for account in ACCOUNTS:
            needed: dict[str, Decimal] = {}
            for order in self.world.open_orders(account):
                left = order.amount - order.filled
                selling = order.side is Side.SELL
                asset = order.market.base if selling else order.market.quote
                need = left if selling else left * (order.price or Decimal(0))
                needed[asset] = needed.get(asset, Decimal(0)) + need
            for balance in self.world.balances(account):
                assert balance.locked == needed.get(balance.asset, Decimal(0))

    @invariant()
    def the_ledger_agrees_with_the_wallets(self) -> None:
        for account in ACCOUNTS:
            written: defaultdict[str, Decimal] = defaultdict(Decimal)
            for line in self.world.ledger(account):
                written[line.asset] += line.change
                assert line.balance == written[line.asset]
            for balance in self.world.balances(account):
                assert written[balance.asset] == balance.total

    @invariant()
    def an_orders_fills_are_what_it_filled(self) -> None:
        for account in ACCOUNTS:
            fills = self.world.fills(account)
            for order in self.world.orders(account):
                own = [fill for fill in fills if fill.order_id == order.order_id]
                assert sum((fill.amount for fill in own), Decimal(0)) == order.filled
                assert sum((fill.cost for fill in own), Decimal(0)) == order.filled_quote

    @invariant()
    def the_book_is_never_crossed(self) -> None:
        for symbol in SYMBOLS:
            book = self.world.order_book(symbol, 1)
            assert book.bids[0].price < book.asks[0].price

    def _place(self, account: str, asked: OrderRequest) -> Order | None:
        before = self.world.balances(account)
        try:
            order = self.world.place(account, asked)
        except OrderRefused:
            assert self.world.balances(account) == before
            return None
        self.placed.append((account, order.order_id))
        return order


TestMoneyLaws = MoneyLaws.TestCase
TestMoneyLaws.settings = settings(stateful_step_count=25)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> AtOnce:
    return new_world(clock)


def test_two_accounts_meet_at_the_resting_orders_price(world: AtOnce) -> None:
    book = world.order_book("BTC/USDT", 1)
    between = (book.bids[0].price + book.asks[0].price) // 2

    maker = world.place("okx:full", limit("BTC/USDT", Side.SELL, "0.5", between))
    taker = world.place("binance:full", market("BTC/USDT", Side.BUY, "0.2"))
    maker = world.order("okx:full", maker.order_id)

    assert (taker.status, taker.filled_quote) == (OrderStatus.FILLED, between * Decimal("0.2"))
    assert (maker.status, maker.filled) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.2"))
    assert held(world, "okx:full", "BTC").locked == Decimal("0.3")


def test_an_order_bought_below_its_limit_gives_the_difference_back(world: AtOnce) -> None:
    ask = world.order_book("BTC/USDT", 1).asks[0]
    before = held(world, "binance:full", "USDT").available

    order = world.place("binance:full", limit("BTC/USDT", Side.BUY, "0.1", ask.price + 500))

    assert order.filled_quote == ask.price * Decimal("0.1")
    assert held(world, "binance:full", "USDT").available == before - order.filled_quote
    assert held(world, "binance:full", "USDT").locked == 0


@pytest.mark.parametrize("side", Side)
def test_a_resting_order_fills_at_its_price_once_the_market_passes(
    world: AtOnce, clock: Clock, side: Side
) -> None:
    last = world.ticker("BTC/USDT").last
    price = last - 20 if side is Side.BUY else last + 20
    order = world.place("binance:full", limit("BTC/USDT", side, "0.1", price))

    clock.now_ms += 20 * DAY_MS
    filled = world.order("binance:full", order.order_id)

    assert order.status is OrderStatus.OPEN
    assert (filled.status, filled.filled_quote) == (OrderStatus.FILLED, price * Decimal("0.1"))


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        (market("NOT/THERE", Side.BUY, "1"), "unknown_symbol"),
        (limit("BTC/USDT", Side.BUY, "0.1", Decimal("50000.001")), "tick_size"),
        (limit("BTC/USDT", Side.BUY, "0.000001", Decimal(50000)), "step_size"),
        (limit("BTC/USDT", Side.BUY, "0.00001", Decimal(50000)), "min_notional"),
        (limit("BTC/USDT", Side.BUY, "50", Decimal(50000)), "insufficient_funds"),
        (market("BTC/USDT", Side.SELL, "50"), "insufficient_funds"),
        (market("BTC/USDT", Side.BUY, "0"), "bad_number"),
        (market("BTC/USDT", Side.BUY, "-1"), "bad_number"),
        (market("BTC/USDT", Side.BUY, "NaN"), "bad_number"),
        (market("BTC/USDT", Side.BUY, "1e30"), "bad_number"),
        (limit("BTC/USDT", Side.BUY, "0.1", Decimal("1e30")), "bad_number"),
        (OrderRequest("BTC/USDT", Side.BUY, OrderType.MARKET, None, None), "bad_number"),
        (
            OrderRequest("BTC/USDT", Side.BUY, OrderType.MARKET, None, None, Decimal("1e30")),
            "insufficient_funds",
        ),
        (
            OrderRequest("BTC/USDT", Side.BUY, OrderType.MARKET, None, None, Decimal("0.01")),
            "min_notional",
        ),
        (OrderRequest("BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal(1), None), "bad_number"),
        (replace(market("BTC/USDT", Side.BUY, "1"), client_order_id="a\0"), "bad_number"),
        (replace(market("BTC/USDT", Side.BUY, "1"), client_order_id="\ud800"), "bad_number"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused_by_name(
    world: AtOnce, asked: OrderRequest, rule: str
) -> None:
    with pytest.raises(OrderRefused) as refused:
        world.place("binance:full", asked)

    assert refused.value.rule == rule


def test_a_client_order_id_is_taken_while_its_order_is_open(world: AtOnce) -> None:
    asked = OrderRequest(
        "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal("0.1"), Decimal(40000), None, "mine"
    )
    first = world.place("binance:full", asked)

    with pytest.raises(OrderRefused, match="duplicate_client_order_id"):
        world.place("binance:full", asked)
    world.place("okx:full", asked)
    world.cancel("binance:full", first.order_id)

    assert world.place("binance:full", asked).status is OrderStatus.OPEN


def test_an_account_holds_a_bounded_number_of_orders(world: AtOnce) -> None:
    asked = limit("BTC/USDT", Side.BUY, "0.001", Decimal(30000))
    for _ in range(OPEN_ORDERS_PER_ACCOUNT_MAX):
        world.place("binance:full", asked)

    with pytest.raises(OrderRefused, match="too_many_open_orders"):
        world.place("binance:full", asked)


def test_only_so_many_closed_orders_are_remembered(world: AtOnce) -> None:
    first = world.place("binance:full", market("BTC/USDT", Side.SELL, "0.001"))
    for _ in range(CLOSED_ORDERS_PER_ACCOUNT_MAX):
        world.place("binance:full", market("BTC/USDT", Side.SELL, "0.001"))

    with pytest.raises(OrderRefused, match="order_not_found"):
        world.order("binance:full", first.order_id)
    assert len(world.orders("binance:full")) == CLOSED_ORDERS_PER_ACCOUNT_MAX


def test_an_order_of_another_account_is_not_found(world: AtOnce) -> None:
    order = world.place("binance:full", limit("BTC/USDT", Side.BUY, "0.1", Decimal(40000)))

    with pytest.raises(OrderRefused, match="order_not_found"):
        world.order("binance:second", order.order_id)
    with pytest.raises(OrderRefused, match="order_not_found"):
        world.cancel("binance:second", order.order_id)


def timed(
    side: Side, amount: str, price: Decimal, time_in_force: TimeInForce, *, refuse: bool = False
) -> OrderRequest:
    return OrderRequest(
        "BTC/USDT",
        side,
        OrderType.LIMIT,
        Decimal(amount),
        price,
        time_in_force=time_in_force,
        refuse_forbidden=refuse,
    )


def test_an_immediate_order_trades_what_there_is_and_leaves_nothing(world: AtOnce) -> None:
    ask = world.order_book("BTC/USDT", 1).asks[0]
    more = str(ask.amount + Decimal("0.1"))

    order = world.place("binance:full", timed(Side.BUY, more, ask.price, TimeInForce.IOC))

    assert (order.status, order.filled) == (OrderStatus.CANCELLED, ask.amount)
    assert held(world, "binance:full", "USDT").locked == 0


def test_an_order_for_all_or_nothing_takes_no_part(world: AtOnce) -> None:
    ask = world.order_book("BTC/USDT", 1).asks[0]
    more = str(ask.amount + Decimal("0.1"))
    part = world.place("binance:full", timed(Side.BUY, more, ask.price, TimeInForce.FOK))
    whole = world.place(
        "binance:full", timed(Side.BUY, str(ask.amount), ask.price, TimeInForce.FOK)
    )

    assert (part.status, part.filled) == (OrderStatus.CANCELLED, 0)
    assert (whole.status, whole.filled) == (OrderStatus.FILLED, ask.amount)


def test_an_order_that_may_only_rest_never_trades_at_once(world: AtOnce) -> None:
    ask = world.order_book("BTC/USDT", 1).asks[0]
    crossing = world.place("okx:full", timed(Side.BUY, "0.1", ask.price, TimeInForce.POST_ONLY))
    resting = world.place(
        "okx:full", timed(Side.BUY, "0.1", ask.price - 500, TimeInForce.POST_ONLY)
    )

    assert (crossing.status, crossing.filled) == (OrderStatus.CANCELLED, 0)
    assert resting.status is OrderStatus.OPEN


@pytest.mark.parametrize(
    ("time_in_force", "amount", "rule"),
    [
        (TimeInForce.POST_ONLY, "0.01", "would_trade"),
        (TimeInForce.FOK, "1", "not_fillable"),
    ],
)
def test_an_order_that_asks_to_be_refused_moves_nothing(
    world: AtOnce, time_in_force: TimeInForce, amount: str, rule: str
) -> None:
    price = world.order_book("BTC/USDT", 1).asks[0].price

    with pytest.raises(OrderRefused, match=rule):
        world.place("gate:full", timed(Side.BUY, amount, price, time_in_force, refuse=True))

    assert world.open_orders("gate:full") == world.fills("gate:full") == ()
    assert held(world, "gate:full", "USDT").locked == 0


def test_both_sides_of_a_trade_remember_it(world: AtOnce) -> None:
    book = world.order_book("BTC/USDT", 1)
    between = (book.bids[0].price + book.asks[0].price) // 2
    world.place("okx:full", limit("BTC/USDT", Side.SELL, "0.2", between))
    world.place("binance:full", market("BTC/USDT", Side.BUY, "0.2"))

    (sold,), (bought,) = world.fills("okx:full"), world.fills("binance:full")

    assert (sold.side, sold.is_maker, sold.price) == (Side.SELL, True, between)
    assert (bought.side, bought.is_maker, bought.price) == (Side.BUY, False, between)


def test_what_an_account_begins_with_was_deposited(world: AtOnce) -> None:
    given = {deposit.asset: deposit.amount for deposit in world.deposits("okx:full")}

    assert given == {b.asset: b.total for b in world.balances("okx:full")}
    assert [deposit.asset for deposit in world.deposits("okx:full", "BTC")] == ["BTC"]
    assert world.deposits("okx:empty") == ()


def test_what_is_left_at_the_houses_price_does_not_wait(world: AtOnce) -> None:
    ask = world.order_book("BTC/USDT", 1).asks[0]
    more = str(ask.amount + Decimal("0.1"))

    order = world.place("binance:full", limit("BTC/USDT", Side.BUY, more, ask.price))

    assert (order.status, order.filled_quote) == (OrderStatus.FILLED, Decimal(more) * ask.price)
    assert [fill.is_maker for fill in world.fills("binance:full")] == [False, True]


def test_the_house_offers_the_same_however_often_it_is_asked(world: AtOnce) -> None:
    book = world.order_book("BTC/USDT", 3)
    longer = world.order_book("BTC/USDT", 1_000)
    world.place("binance:full", market("BTC/USDT", Side.BUY, "0.3"))

    assert (len(book.asks), len(longer.asks)) == (3, LEVELS)
    assert longer.asks[:3] == book.asks
    assert world.order_book("BTC/USDT", 1_000) == longer


def test_a_budget_buys_what_the_book_gives_for_it(world: AtOnce) -> None:
    asked = OrderRequest("BTC/USDT", Side.BUY, OrderType.MARKET, None, None, Decimal(90_000))

    order = world.place("binance:full", asked)

    assert order.status is OrderStatus.FILLED
    assert 0 <= 90_000 - order.filled_quote < 1
