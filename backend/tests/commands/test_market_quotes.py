"""Quotes keep to their market, and never cross: whatever the price, the spread and the seed."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from backend.app.commands.market_quotes import Plan, QuotedMarket, Quoter
from backend.app.sandbox.listings import LISTINGS

PLAN = Plan(("BTC/USDT",), levels=5, spread_bps=20, threshold_bps=10, seed=7, every_seconds=5)
MARKETS = [
    QuotedMarket(
        symbol=f"{each.market.base}/{each.market.quote}",
        base_asset=each.market.base,
        quote_asset=each.market.quote,
        tick_size=each.market.tick_size,
        step_size=each.market.step_size,
        price_min=each.market.tick_size,
        price_max=each.market.tick_size * 10**9,
        quantity_max=each.market.max_amount,
        min_notional=each.market.min_notional,
    )
    for each in LISTINGS
]


def prices(orders: list[dict[str, str]], side: str) -> list[Decimal]:
    return [Decimal(each["price"]) for each in orders if each["side"] == side]


@given(
    st.sampled_from(MARKETS),
    st.decimals("0.5", "2", places=6),
    st.integers(1, 1_000),
    st.integers(1, 10),
    st.integers(0, 99),
)
def test_quotes_are_whole_worth_something_and_never_cross(
    market: QuotedMarket, factor: Decimal, spread_bps: int, levels: int, seed: int
) -> None:
    middle = factor * next(
        each.middle_price
        for each in LISTINGS
        if f"{each.market.base}/{each.market.quote}" == market.symbol
    )
    plan = replace(PLAN, levels=levels, spread_bps=spread_bps, seed=seed)

    orders = Quoter(market, plan).orders(middle)

    bids, asks = prices(orders, "buy"), prices(orders, "sell")
    assert (len(bids), len(asks)) == (levels, levels)
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert bids[0] < middle < asks[0]
    for order in orders:
        price, quantity = Decimal(order["price"]), Decimal(order["quantity"])
        assert price % market.tick_size == 0
        assert quantity % market.step_size == 0
        assert price * quantity >= market.min_notional
        assert (order["time_in_force"], order["self_trade_prevention"]) == (
            "post_only",
            "cancel_taker",
        )


def test_the_same_seed_draws_the_same_sizes_and_another_others() -> None:
    first, again = (
        [Quoter(MARKETS[0], PLAN).orders(Decimal(64_000)) for _ in range(2)] for _ in range(2)
    )
    other = Quoter(MARKETS[0], replace(PLAN, seed=8)).orders(Decimal(64_000))

    assert first == again
    assert other != first[0]


def test_a_price_has_moved_when_it_is_beyond_the_threshold() -> None:
    quoter = Quoter(MARKETS[0], PLAN)

    moved = [quoter.has_moved(Decimal(price), Decimal(10_000)) for price in (10_010, 10_011, 9_989)]

    assert moved == [False, True, True]
