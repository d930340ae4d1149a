"""Orders and fills of the spot markets as their owner sees them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from pydantic_core import to_jsonable_python

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
# The core's words in the words of the API: the same ones, plain, which are written the fastest.
_WORDS: Final[Mapping[str, str]] = {
    each.value: each.value
    for words in (OrderSide, OrderKind, OrderLasting, SelfTradePrevention, OrderState)
    for each in words
}


def moments(placed: Iterable[Known]) -> dict[datetime, str]:
    """Return the times of orders as they are written: those placed together are of one moment."""
    return {at: to_jsonable_python(at) for at in {each.created_at for each in placed}}


def placed(market: Instrument, known: Known, at: str) -> dict[str, Any]:
    """Return the members of an `OrderShown` for an order that was placed just now, at a moment.

    The model itself would take as long again as to make and write them (bench/orders_http.py).
    """
    return {**_members(market, known), "created_at": at, "updated_at": at}


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
    at = {"created_at": row.created_at, "updated_at": row.updated_at}
    return OrderShown.model_validate({**_members(market, known), **at})


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


def _members(market: Instrument, known: Known) -> dict[str, Any]:
    order, lots, budget = known.order, market.lots_per_unit, known.order.budget
    return {
        "id": known.id,
        "client_order_id": given_name(order.client_order_id),
        "symbol": market.symbol,
        "side": _WORDS[order.side],
        "type": _WORDS[order.type],
        "time_in_force": _WORDS[order.time_in_force],
        "self_trade_prevention": _WORDS[order.self_trade],
        "price": _price(market, order.price),
        "stop_price": _price(market, order.stop_price),
        "quantity": in_full(order.quantity, lots) if budget is None else None,
        "quote_quantity": None if budget is None else in_short(budget, ATOMS_PER_UNIT),
        "executed_quantity": in_full(known.executed, lots),
        "executed_quote_quantity": in_short(known.value * market.tick_lot_atoms, ATOMS_PER_UNIT),
        "average_price": _average(market, known),
        "status": _WORDS[known.status],
    }


def _price(market: Instrument, ticks: int | None) -> str | None:
    return None if ticks is None else in_full(ticks, market.ticks_per_unit)


def _average(market: Instrument, known: Known) -> str | None:
    if not known.executed:
        return None
    return ratio_in_short(known.value, known.executed * market.ticks_per_unit, _AVERAGE_DECIMALS)
