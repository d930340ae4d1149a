"""Orders that were taken and cancelled at once are told of, for as long as they are remembered."""

from decimal import Decimal

from backend.app.exchanges.market_values import (
    Market,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from backend.app.sandbox.turned_away import PER_ACCOUNT_MAX, TurnedAway

NOW_MS = 1_795_259_228_000
BTC = Market(
    "BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1), Decimal(5)
)
ASKED = OrderRequest(
    "BTC/USDT",
    Side.BUY,
    OrderType.LIMIT,
    Decimal("0.1"),
    Decimal(60_000),
    time_in_force=TimeInForce.POST_ONLY,
)


def kept(turned_away: TurnedAway, account: str = "okx:full") -> Order:
    return turned_away.keep(account, BTC, ASKED, NOW_MS)


def test_such_an_order_is_cancelled_and_its_owners_alone() -> None:
    turned_away = TurnedAway()

    order = kept(turned_away)

    assert (order.status, order.filled, order.time_in_force) == (
        OrderStatus.CANCELLED,
        0,
        TimeInForce.POST_ONLY,
    )
    assert turned_away.find("okx:full", order.order_id) == order
    assert turned_away.find("okx:second", order.order_id) is None
    assert turned_away.of("okx:full", "ETH/USDT") == ()


def test_its_number_is_none_that_the_venue_gives() -> None:
    first, second = kept(turned_away := TurnedAway()), kept(turned_away)

    assert 0 < first.order_id < second.order_id < 2**40


def test_only_so_many_are_remembered() -> None:
    turned_away = TurnedAway()
    orders = [kept(turned_away) for _ in range(PER_ACCOUNT_MAX + 1)]

    assert turned_away.find("okx:full", orders[0].order_id) is None
    assert len(turned_away.of("okx:full", None)) == PER_ACCOUNT_MAX
