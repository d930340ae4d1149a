"""Orders and fills of the spot markets as their owner sees them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from backend.app.models.venue import Fill, Order
from backend.app.money import plain
from backend.app.schemas.order_schemas import (
    FillShown,
    OrderKind,
    OrderLasting,
    OrderShown,
    OrderSide,
    OrderState,
    SelfTradePrevention,
)
from backend.app.services.venue.amounts import in_full, in_short, ratio_in_short, whole_units
from backend.app.services.venue.desk import Known
from backend.app.services.venue.remote import given_name
from backend.app.venue.batch import OrderStatus
from backend.app.venue.commands import NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce

_AVERAGE_DECIMALS: Final = 12
# The core's words in the words of the API: the same ones. They are looked up by their text.
_SIDES: Final[Mapping[str, OrderSide]] = {each.value: each for each in OrderSide}
_KINDS: Final[Mapping[str, OrderKind]] = {each.value: each for each in OrderKind}
_LASTING: Final[Mapping[str, OrderLasting]] = {each.value: each for each in OrderLasting}
_PREVENTIONS: Final[Mapping[str, SelfTradePrevention]] = {
    each.value: each for each in SelfTradePrevention
}
_STATES: Final[Mapping[str, OrderState]] = {each.value: each for each in OrderState}


def placed(market: Instrument, known: Known) -> OrderShown:
    """Return an order as it is shown when it was placed just now."""
    return _shown(market, known, known.created_at)


def stored(market: Instrument, row: Order) -> OrderShown:
    """Return an order as it stands in its table."""
    order = NewOrder(
        account_id=row.account_id,
        instrument_id=row.instrument_id,
        side=Side(row.side),
        price=row.price,
        quantity=row.quantity,
        client_order_id=row.client_order_id,
        type=OrderType(row.order_type),
        time_in_force=TimeInForce(row.time_in_force),
        stop_price=row.stop_price,
        self_trade=SelfTrade(row.self_trade),
        budget=None if row.budget is None else whole_units(row.budget, ATOMS_PER_UNIT),
    )
    status = OrderStatus(row.status)
    known = Known(row.id, order, row.executed_quantity, row.executed_value, status, row.created_at)
    return _shown(market, known, row.updated_at)


def fill(market: Instrument, row: Fill) -> FillShown:
    """Return an account's side of a trade."""
    bought = row.side == OrderSide.BUY
    worth = row.price * row.quantity * market.tick_lot_atoms
    return FillShown(
        trade_id=row.trade_id,
        order_id=row.order_id,
        symbol=market.symbol,
        side=OrderSide(row.side),
        liquidity="maker" if row.is_maker else "taker",
        price=in_full(row.price, market.ticks_per_unit),
        quantity=in_full(row.quantity, market.lots_per_unit),
        quote_quantity=in_short(worth, ATOMS_PER_UNIT),
        fee=plain(row.fee),
        fee_asset=(market.base_asset or "") if bought else market.quote_asset,
        traded_at=row.traded_at,
    )


def _shown(market: Instrument, known: Known, updated_at: datetime) -> OrderShown:
    order, lots, budget = known.order, market.lots_per_unit, known.order.budget
    return OrderShown(
        id=known.id,
        client_order_id=given_name(order.client_order_id),
        symbol=market.symbol,
        side=_SIDES[order.side],
        type=_KINDS[order.type],
        time_in_force=_LASTING[order.time_in_force],
        self_trade_prevention=_PREVENTIONS[order.self_trade],
        price=_price(market, order.price),
        stop_price=_price(market, order.stop_price),
        quantity=in_full(order.quantity, lots) if budget is None else None,
        quote_quantity=None if budget is None else in_short(budget, ATOMS_PER_UNIT),
        executed_quantity=in_full(known.executed, lots),
        executed_quote_quantity=in_short(known.value * market.tick_lot_atoms, ATOMS_PER_UNIT),
        average_price=_average(market, known),
        status=_STATES[known.status],
        created_at=known.created_at,
        updated_at=updated_at,
    )


def _price(market: Instrument, ticks: int | None) -> str | None:
    return None if ticks is None else in_full(ticks, market.ticks_per_unit)


def _average(market: Instrument, known: Known) -> str | None:
    if not known.executed:
        return None
    return ratio_in_short(known.value, known.executed * market.ticks_per_unit, _AVERAGE_DECIMALS)
