"""What orders lock, pay and give back, told in numbers."""

import pytest

from backend.app.venue.batch import Done, Line, OrderStatus, Outcome, Pocket, Refused
from backend.app.venue.books import Books, OrderImpossible
from backend.app.venue.commands import CancelAllOrders, CancelOrder, Command, MoveFunds, NewOrder
from backend.app.venue.events import RejectReason
from backend.app.venue.order_book import OPEN_ORDERS_PER_ACCOUNT_MAX
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce
from backend.tests.support.instruments import BTC_USDT, CARDS

BUY, SELL = Side.BUY, Side.SELL
MARKET, IOC = OrderType.MARKET, TimeInForce.IOC
TICK_LOT, LOT = BTC_USDT.tick_lot_atoms, BTC_USDT.lot_atoms
ANN, BEN = 1, 2


def btc(account: int, side: Side, price: int | None, quantity: int = 1, **more: object) -> NewOrder:
    return NewOrder(account, BTC_USDT.id, side, price, quantity)._replace(**more)


def venue(*before: Command, usdt: int = 10**9, bitcoin: int = 10**9) -> Books:
    """Books where Ann has dollars and Ben has bitcoins, after these commands."""
    books = Books((BTC_USDT, *CARDS), 1, 1)
    gifts = MoveFunds(ANN, "USDT", usdt, ""), MoveFunds(BEN, "BTC", bitcoin, "")
    outcomes = books.carry_out([*gifts, *before]).outcomes
    assert all(isinstance(each, Done) for each in outcomes)
    return books


def has(books: Books, account: int, asset: str) -> tuple[int, int]:
    """What an account has available, and locked."""
    for each in books.holdings():
        if (each.account_id, each.asset) == (account, asset):
            return each.available, each.locked
    return 0, 0


def outcome(books: Books, command: Command) -> Outcome:
    return books.carry_out([command]).outcomes[0]


def test_a_buy_locks_its_price_and_a_sell_what_it_sells() -> None:
    books = venue(btc(ANN, BUY, 100, 3), btc(BEN, SELL, 101, 2))

    assert has(books, ANN, "USDT") == (10**9 - 300 * TICK_LOT, 300 * TICK_LOT)
    assert has(books, BEN, "BTC") == (10**9 - 2 * LOT, 2 * LOT)


def test_what_a_better_price_spares_is_available_again_at_once() -> None:
    books = venue(btc(BEN, SELL, 90, 1))

    batch = books.carry_out([btc(ANN, BUY, 100, 2)])

    assert batch.lines == [
        Line(4, ANN, "USDT", Pocket.AVAILABLE, -190 * TICK_LOT),
        Line(4, ANN, "USDT", Pocket.LOCKED, 100 * TICK_LOT),
        Line(4, ANN, "BTC", Pocket.AVAILABLE, LOT - 20_000),
        Line(4, BEN, "BTC", Pocket.LOCKED, -LOT),
        Line(4, BEN, "USDT", Pocket.AVAILABLE, 90 * TICK_LOT),
        Line(4, None, "BTC", Pocket.FEES, 20_000),
    ]


def test_each_side_pays_its_fee_out_of_what_it_receives() -> None:
    books = venue(btc(BEN, SELL, 1_000, 5))

    maker, taker = books.carry_out([btc(ANN, BUY, 1_000, 5)]).fills

    # A thousandth of 500,000,000 atoms, and two of 50,000,000, in whole hundred-millionths.
    assert (maker.account_id, maker.is_maker, maker.fee) == (BEN, True, 500_000)
    assert (taker.account_id, taker.is_maker, taker.fee) == (ANN, False, 100_000)
    assert has(books, BEN, "USDT") == (500_000_000 - 500_000, 0)
    assert has(books, ANN, "BTC") == (50_000_000 - 100_000, 0)


def test_whoever_has_too_little_is_refused_and_nothing_happens() -> None:
    books = venue(btc(BEN, SELL, 100, 5), usdt=500 * TICK_LOT - 1)
    before = books.snapshot()

    for order in (
        btc(ANN, BUY, 100, 5),
        btc(ANN, BUY, None, 5, type=MARKET),
        btc(ANN, BUY, 100, 5, type=OrderType.STOP_LIMIT, stop_price=100),
        btc(ANN, SELL, 100, 1),
        MoveFunds(ANN, "USDT", -500 * TICK_LOT, ""),
        MoveFunds(ANN, "BTC", -1, ""),
    ):
        assert outcome(books, order) == Refused(RejectReason.INSUFFICIENT_FUNDS)
    assert books.snapshot() == before


def test_a_market_buy_needs_what_it_takes_and_no_more() -> None:
    books = venue(btc(BEN, SELL, 100, 2), btc(BEN, SELL, 200, 9), usdt=400 * TICK_LOT)

    batch = books.carry_out([btc(ANN, BUY, None, 3, type=MARKET)])

    assert [(each.price, each.quantity) for each in batch.trades] == [(100, 2), (200, 1)]
    assert has(books, ANN, "USDT") == (0, 0)


def test_a_budget_becomes_the_most_whole_lots_it_pays_for() -> None:
    books = venue(btc(BEN, SELL, 100, 2), btc(BEN, SELL, 200, 9))
    order = btc(ANN, BUY, None, 0, type=MARKET, budget=799 * TICK_LOT)

    [placed] = books.carry_out([order]).placed

    assert (placed.executed, placed.value, placed.status) == (4, 600, OrderStatus.FILLED)
    assert placed.order == order


def test_a_budget_that_finds_too_few_lots_ends_as_cancelled() -> None:
    books = venue(btc(BEN, SELL, 100, 2))

    [placed] = books.carry_out([btc(ANN, BUY, None, 0, type=MARKET, budget=10**9)]).placed

    assert (placed.executed, placed.status) == (2, OrderStatus.CANCELLED)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (btc(ANN, BUY, None, 0, type=MARKET, budget=99 * TICK_LOT), "budget_too_small"),
        (btc(ANN, BUY, None, 0, type=MARKET, budget=0), "budget_too_small"),
        (btc(ANN, BUY, None, 0, type=MARKET, budget=-1), "budget_too_small"),
        (btc(ANN, BUY, None, 1, type=MARKET, budget=10**9), "quantity_out_of_range"),
        (btc(ANN, SELL, None, 0, type=MARKET, budget=10**9), "budget_not_allowed"),
        (btc(ANN, BUY, 100, 0, budget=10**9), "budget_not_allowed"),
        (btc(ANN, BUY, None, 0, type=MARKET), "quantity_out_of_range"),
        (MoveFunds(ANN, "USDT", 0, ""), "quantity_out_of_range"),
        (btc(ANN, BUY, 100, 1, time_in_force=TimeInForce.POST_ONLY), "would_take"),
        (CancelOrder(ANN, BTC_USDT.id, 3), "not_open"),
        (CancelOrder(ANN, 99, 3), "not_open"),
    ],
)
def test_nonsense_is_refused_with_its_reason(order: Command, reason: str) -> None:
    books = venue(btc(BEN, SELL, 100, 2))

    assert outcome(books, order) == Refused(RejectReason(reason))


def test_an_instrument_of_another_shard_is_a_defect() -> None:
    with pytest.raises(OrderImpossible):
        venue().carry_out([NewOrder(ANN, 99, BUY, 100)])


def test_cancelling_unlocks_what_is_left() -> None:
    books = venue(btc(ANN, BUY, 100, 5), btc(BEN, SELL, 100, 2))

    assert outcome(books, CancelOrder(ANN, BTC_USDT.id, 3)) == Done(5, (3,))
    assert has(books, ANN, "USDT") == (10**9 - 200 * TICK_LOT, 0)


def test_cancelling_all_goes_through_every_book() -> None:
    stop = btc(ANN, BUY, 50, 1, type=OrderType.STOP_LIMIT, stop_price=200)
    books = venue(NewOrder(ANN, 1, BUY, 500), btc(ANN, BUY, 100, 5), stop, btc(BEN, SELL, 300, 2))

    batch = books.carry_out([CancelAllOrders(ANN, None)])

    assert batch.outcomes == [Done(7, (3, 4, 5))]
    assert {each.status for each in batch.changed.values()} == {OrderStatus.CANCELLED}
    assert has(books, ANN, "USDT") == (10**9, 0)


def test_an_order_of_ones_own_that_is_in_the_way_is_unlocked() -> None:
    books = venue(MoveFunds(ANN, "BTC", LOT, ""), btc(ANN, SELL, 100, 1), btc(BEN, SELL, 101, 1))

    books.carry_out([btc(ANN, BUY, 101, 1, self_trade=SelfTrade.CANCEL_MAKER)])

    assert has(books, ANN, "BTC") == (2 * LOT - 20_000, 0)
    assert has(books, ANN, "USDT") == (10**9 - 101 * TICK_LOT, 0)


def test_what_cannot_trade_at_once_is_not_kept_locked() -> None:
    books = venue(btc(BEN, SELL, 100, 1))

    [placed] = books.carry_out([btc(ANN, BUY, 100, 3, time_in_force=IOC)]).placed

    assert (placed.executed, placed.status) == (1, OrderStatus.CANCELLED)
    assert has(books, ANN, "USDT") == (10**9 - 100 * TICK_LOT, 0)


@pytest.mark.parametrize("order", [NewOrder(ANN, 1, BUY, 100), btc(ANN, BUY, 1)])
def test_an_account_has_a_bounded_number_of_open_orders_of_an_instrument(order: NewOrder) -> None:
    books = venue(*[order] * OPEN_ORDERS_PER_ACCOUNT_MAX)
    at_once = order._replace(time_in_force=IOC)

    assert outcome(books, order) == Refused(RejectReason.TOO_MANY_OPEN_ORDERS)
    assert isinstance(outcome(books, order._replace(instrument_id=2)), Done)
    assert isinstance(outcome(books, at_once), Done)
    assert isinstance(outcome(books, CancelOrder(ANN, order.instrument_id, 3)), Done)
    assert isinstance(outcome(books, order), Done)
