"""The rules of an order that ask for no state: each is named when it is broken."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.app.errors import OrderRefused
from backend.app.schemas.order_schemas import OrderCreate
from backend.app.services.venue.order_rules import new_order
from backend.app.venue.commands import NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce

MARKET = Instrument(
    id=5,
    symbol="BTC/USDT",
    name="Bitcoin",
    quote_asset="USDT",
    ticks_per_unit=100,
    price_ticks_min=1,
    price_ticks_max=1_000_000_000,
    order_lots_max=10_000_000,
    base_asset="BTC",
    lots_per_unit=100_000,
    notional_atoms_min=5 * ATOMS_PER_UNIT,
    maker_fee_ppm=1000,
    taker_fee_ppm=1000,
)
LIMIT = {"symbol": "BTC/USDT", "side": "buy", "price": "64000.01", "quantity": "0.00125"}
STOP = {**LIMIT, "type": "stop_limit", "stop_price": "64000"}
TAKE = {"symbol": "BTC/USDT", "side": "buy", "type": "market", "quantity": "0.5"}
PAY = {"symbol": "BTC/USDT", "side": "buy", "type": "market", "quote_quantity": "100.25"}


def order(asked: dict[str, Any], market: Instrument = MARKET) -> NewOrder:
    return new_order(7, market, OrderCreate.model_validate(asked))


def test_a_limit_order_becomes_ticks_and_lots() -> None:
    placed = order({**LIMIT, "client_order_id": "a-1", "time_in_force": "post_only"})

    assert placed == NewOrder(
        7, 5, Side.BUY, 6_400_001, 125, "a-1", time_in_force=TimeInForce.POST_ONLY
    )


def test_a_stop_order_has_two_prices() -> None:
    placed = order({**STOP, "side": "sell", "self_trade_prevention": "cancel_both"})

    assert (placed.type, placed.side) == (OrderType.STOP_LIMIT, Side.SELL)
    assert (placed.price, placed.stop_price) == (6_400_001, 6_400_000)
    assert placed.self_trade is SelfTrade.CANCEL_BOTH


def test_a_market_order_names_how_much_or_what_to_pay() -> None:
    assert (order(TAKE).price, order(TAKE).quantity, order(TAKE).budget) == (None, 50_000, None)
    assert (order(PAY).quantity, order(PAY).budget) == (0, 100_250_000_000_000)


@pytest.mark.parametrize(
    ("asked", "rule", "field"),
    [
        ({**LIMIT, "price": "64000.001"}, "price_tick", "price"),
        ({**LIMIT, "price": "0.00999"}, "price_tick", "price"),
        ({**LIMIT, "price": "10000000.01"}, "price_range", "price"),
        ({**LIMIT, "price": "9" * 20}, "price_range", "price"),
        ({**STOP, "stop_price": "1.234"}, "price_tick", "stop_price"),
        ({**STOP, "stop_price": "9" * 20}, "price_range", "stop_price"),
        ({**LIMIT, "quantity": "0.000001"}, "quantity_step", "quantity"),
        ({**LIMIT, "quantity": "1.000000000000000001"}, "quantity_step", "quantity"),
        ({**LIMIT, "quantity": "100.00001"}, "quantity_range", "quantity"),
        ({**LIMIT, "quantity": "9" * 20}, "quantity_range", "quantity"),
        ({**LIMIT, "price": "1", "quantity": "4.99999"}, "min_notional", None),
        ({**PAY, "quote_quantity": "4.99"}, "min_notional", None),
        ({**PAY, "quote_quantity": "5.0000000000001"}, "quantity_step", "quote_quantity"),
        ({**PAY, "quote_quantity": "9" * 20}, "quantity_range", "quote_quantity"),
        ({**LIMIT, "price": None}, "price_missing", None),
        ({**LIMIT, "quantity": None}, "quantity_missing", None),
        ({**LIMIT, "quantity": None, "quote_quantity": "9"}, "quote_quantity_not_allowed", None),
        ({**LIMIT, "stop_price": "64000"}, "stop_price_not_allowed", None),
        ({**STOP, "stop_price": None}, "stop_price_missing", None),
        ({**STOP, "price": None}, "price_missing", None),
        ({**TAKE, "price": "64000"}, "price_not_allowed", None),
        ({**TAKE, "stop_price": "64000"}, "stop_price_not_allowed", None),
        ({**TAKE, "quantity": None}, "quantity_missing", None),
        ({**TAKE, "time_in_force": "post_only"}, "time_in_force_not_allowed", None),
        ({**PAY, "quantity": "1"}, "quote_quantity_not_allowed", None),
        ({**PAY, "side": "sell"}, "quote_quantity_not_allowed", None),
    ],
)
def test_a_broken_rule_is_named(asked: dict[str, Any], rule: str, field: str | None) -> None:
    with pytest.raises(OrderRefused) as refused:
        order(asked)

    assert (refused.value.facts["rule"], refused.value.facts.get("field")) == (rule, field)


def test_a_market_at_rest_takes_no_orders() -> None:
    with pytest.raises(OrderRefused) as refused:
        order(LIMIT, MARKET._replace(is_active=False))

    assert refused.value.facts == {"rule": "market_halted"}


@pytest.mark.parametrize("field", ["price", "quantity", "quote_quantity", "stop_price"])
@pytest.mark.parametrize(
    "number",
    [
        *("", "0", "0.0", "000", "-1", "+1", "1e3", "1E-3", "NaN", "sNaN", "Infinity", "-0"),
        *(" 1", "1 ", "1\n", "1,5", "1.", ".5", "0x10", "1_000", "٣", "１", "1" * 21),
        *("1." + "1" * 19, "1" * 400, 1, 1.5, 0, True, [], {}, ["1"]),
    ],
)
def test_what_is_no_exact_number_above_nothing_is_refused(field: str, number: object) -> None:
    with pytest.raises(ValidationError) as refused:
        order({**LIMIT, field: number})

    assert [each["loc"] for each in refused.value.errors()] == [(field,)]


@given(
    price=st.from_regex(r"[0-9]{1,8}(\.[0-9]{1,4})?", fullmatch=True),
    quantity=st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,7})?", fullmatch=True),
)
def test_what_is_placed_is_exactly_what_was_asked(price: str, quantity: str) -> None:
    exact_price, exact_quantity = Fraction(price) * 100, Fraction(quantity) * 100_000
    fits = (
        exact_price.denominator == exact_quantity.denominator == 1
        and 1 <= exact_price <= MARKET.price_ticks_max
        and 1 <= exact_quantity <= MARKET.order_lots_max
        and Fraction(price) * Fraction(quantity) >= 5
    )

    try:
        placed = order({**LIMIT, "price": price, "quantity": quantity})
    except (OrderRefused, ValidationError):
        assert not fits
    else:
        assert fits
        assert (placed.price, placed.quantity) == (exact_price, exact_quantity)
        assert Decimal(price) * 100 == placed.price
