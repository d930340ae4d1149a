"""What an order must keep to before the engine sees it: the rules that ask for no state.

Every refusal names its rule, and the field where there may be two; nothing has changed by then.
What depends on money, books or other orders is decided by the engine.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NoReturn

from backend.app.errors import OrderRefused
from backend.app.schemas.order_schemas import OrderCreate, OrderKind, OrderLasting, OrderSide
from backend.app.services.venue.amounts import in_full, in_short, whole_units
from backend.app.venue.commands import NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce

# The API's words in the words of the core: the same ones. They are looked up by their text.
_SIDES: Final[Mapping[str, Side]] = {each.value: each for each in Side}
_TYPES: Final[Mapping[str, OrderType]] = {each.value: each for each in OrderType}
_LASTING: Final[Mapping[str, TimeInForce]] = {each.value: each for each in TimeInForce}
_SELF_TRADES: Final[Mapping[str, SelfTrade]] = {each.value: each for each in SelfTrade}


def new_order(account_id: int, market: Instrument, asked: OrderCreate) -> NewOrder:
    """Return an order as the engine takes it.

    Raises:
        OrderRefused: it breaks the rule that the facts name.
    """
    if not market.is_active:
        _refuse("market_halted", "This market takes no orders now.")
    _look_at_form(asked)
    price = _price(market, "price", asked.price)
    quantity = _quantity(market, asked.quantity)
    budget = _budget(market, asked.quote_quantity)
    _look_at_notional(market, price, quantity, budget)
    return NewOrder(
        account_id=account_id,
        instrument_id=market.id,
        side=_SIDES[asked.side],
        price=price,
        quantity=quantity,
        client_order_id=asked.client_order_id,
        type=_TYPES[asked.type],
        time_in_force=_LASTING[asked.time_in_force],
        stop_price=_price(market, "stop_price", asked.stop_price),
        self_trade=_SELF_TRADES[asked.self_trade_prevention],
        budget=budget,
    )


def _look_at_form(asked: OrderCreate) -> None:
    """Let an order pass that names what its type needs, and nothing else."""
    is_market = asked.type is OrderKind.MARKET
    is_stop = asked.type is OrderKind.STOP_LIMIT
    _look_at_field("price", asked.price, is_needed=not is_market)
    _look_at_field("stop_price", asked.stop_price, is_needed=is_stop)
    may_pay = is_market and asked.side is OrderSide.BUY
    if asked.quote_quantity is not None and not may_pay:
        _refuse("quote_quantity_not_allowed", "Only a market order that buys may name it.")
    if asked.quantity is None and asked.quote_quantity is None:
        _refuse("quantity_missing", "An order says how much.")
    if asked.quantity is not None and asked.quote_quantity is not None:
        _refuse("quote_quantity_not_allowed", "Name a quantity or what to pay, not both.")
    if is_market and asked.time_in_force is OrderLasting.POST_ONLY:
        _refuse("time_in_force_not_allowed", "A market order takes; it cannot be post-only.")


def _look_at_field(name: str, given: Decimal | None, *, is_needed: bool) -> None:
    if is_needed and given is None:
        _refuse(f"{name}_missing", f"An order of this type needs {name}.")
    if given is not None and not is_needed:
        _refuse(f"{name}_not_allowed", f"An order of this type has no {name}.")


def _price(market: Instrument, field: str, given: Decimal | None) -> int | None:
    if given is None:
        return None
    ticks = whole_units(given, market.ticks_per_unit)
    if ticks is None:
        tick = in_full(1, market.ticks_per_unit)
        _refuse("price_tick", f"Prices here are multiples of {tick}.", field, tick_size=tick)
    low, high = market.price_ticks_min, market.price_ticks_max
    if not low <= ticks <= high:
        least, most = (in_full(each, market.ticks_per_unit) for each in (low, high))
        _refuse(
            "price_range",
            f"Prices here go from {least} to {most}.",
            field,
            price_min=least,
            price_max=most,
        )
    return ticks


def _quantity(market: Instrument, given: Decimal | None) -> int:
    if given is None:
        return 0
    lots = whole_units(given, market.lots_per_unit)
    if lots is None:
        step = in_full(1, market.lots_per_unit)
        _refuse(
            "quantity_step", f"Quantities here are multiples of {step}.", "quantity", step_size=step
        )
    if lots > market.order_lots_max:
        most = in_full(market.order_lots_max, market.lots_per_unit)
        _refuse(
            "quantity_range", f"An order here is at most {most}.", "quantity", quantity_max=most
        )
    return lots


def _budget(market: Instrument, given: Decimal | None) -> int | None:
    if given is None:
        return None
    atoms = whole_units(given, ATOMS_PER_UNIT)
    field = "quote_quantity"
    if atoms is None:
        step = in_full(1, ATOMS_PER_UNIT)
        _refuse("quantity_step", f"Money here has multiples of {step}.", field, step_size=step)
    most = market.price_ticks_max * market.order_lots_max * market.tick_lot_atoms
    if atoms > most:
        told = in_short(most, ATOMS_PER_UNIT)
        _refuse("quantity_range", f"An order here pays at most {told}.", field, quantity_max=told)
    return atoms


def _look_at_notional(
    market: Instrument, price: int | None, quantity: int, budget: int | None
) -> None:
    # What a market order by quantity will come to is not known before it trades.
    worth = budget if price is None else price * quantity * market.tick_lot_atoms
    if worth is not None and worth < market.notional_atoms_min:
        least = in_short(market.notional_atoms_min, ATOMS_PER_UNIT)
        _refuse(
            "min_notional",
            f"An order here is worth at least {least} {market.quote_asset}.",
            min_notional=least,
        )


def _refuse(rule: str, detail: str, field: str | None = None, **facts: str) -> NoReturn:
    named = {} if field is None else {"field": field}
    raise OrderRefused(detail, facts={"rule": rule, **named, **facts})
