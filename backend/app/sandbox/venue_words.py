"""The venue's whole numbers in the doors' words, and back. Exact, or not at all."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from backend.app.errors import (
    ClientOrderIdTaken,
    InsufficientFunds,
    StrongroomError,
    TooManyOpenOrders,
)
from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import (
    Deposit,
    Fill,
    Level,
    Market,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    PublicTrade,
    Side,
    TimeInForce,
)
from backend.app.models.venue import Fill as FillRow
from backend.app.models.venue import Trade, VenueTransfer
from backend.app.repositories.venue_account_repository import PaidOrder
from backend.app.services.venue.amounts import in_decimal, whole_units
from backend.app.services.venue.remote import MADE_NAME
from backend.app.venue import orders as venue_words
from backend.app.venue.batch import Fill as FreshFill
from backend.app.venue.batch import OrderChange, PlacedOrder
from backend.app.venue.commands import NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument
from backend.app.venue.wallets import Holding

_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WAITING: Final = "waiting"
_RULES: Final[Mapping[type[StrongroomError], str]] = {
    ClientOrderIdTaken: "duplicate_client_order_id",
    InsufficientFunds: "insufficient_funds",
    TooManyOpenOrders: "too_many_open_orders",
}


def rule_of(refusal: StrongroomError) -> str:
    """Return which of the doors' rules one of the venue's refusals comes under."""
    return _RULES.get(type(refusal), "bad_number")


def new_order(account_id: int, instrument: Instrument, asked: OrderRequest) -> NewOrder:
    """Return an order as the engine takes it; its steps were checked before.

    Raises:
        OrderRefused: tick_size, step_size or insufficient_funds.
    """
    return NewOrder(
        account_id=account_id,
        instrument_id=instrument.id,
        side=venue_words.Side(asked.side.value),
        price=_whole(asked.price, instrument.ticks_per_unit, "tick_size"),
        quantity=_whole(asked.amount, instrument.lots_per_unit, "step_size") or 0,
        client_order_id=asked.client_order_id,
        type=venue_words.OrderType(asked.order_type.value),
        time_in_force=venue_words.TimeInForce(asked.time_in_force.value),
        budget=_budget(instrument, asked.quote_amount),
    )


def order(market: Market, instrument: Instrument, paid: PaidOrder) -> Order:
    """Return a stored order. One bought for a budget is as large as what it bought."""
    row = paid.order
    lots = row.quantity or row.executed_quantity
    return Order(
        order_id=row.id,
        client_order_id=_own_name(row.client_order_id),
        market=market,
        side=Side(row.side),
        order_type=OrderType.MARKET if row.order_type == OrderType.MARKET else OrderType.LIMIT,
        status=OrderStatus.OPEN if row.status == _WAITING else OrderStatus(row.status),
        price=None if row.price is None else price(instrument, row.price),
        amount=amount(instrument, lots),
        filled=amount(instrument, row.executed_quantity),
        filled_quote=_cost(instrument, row.executed_value),
        created_ms=unix_ms(row.created_at),
        updated_ms=unix_ms(row.updated_at),
        time_in_force=TimeInForce(row.time_in_force),
        fee=paid.fee,
    )


def fresh_order(market: Market, instrument: Instrument, placed: PlacedOrder, now_ms: int) -> Order:
    """Return an order as it came in, and as it stands after that."""
    asked = placed.order
    return Order(
        order_id=placed.id,
        client_order_id=asked.client_order_id or "",
        market=market,
        side=Side(asked.side),
        order_type=OrderType(asked.type),
        status=OrderStatus(placed.status),
        price=None if asked.price is None else price(instrument, asked.price),
        amount=amount(instrument, asked.quantity or placed.executed),
        filled=amount(instrument, placed.executed),
        filled_quote=_cost(instrument, placed.value),
        created_ms=now_ms,
        updated_ms=now_ms,
        time_in_force=TimeInForce(asked.time_in_force),
    )


def changed_order(before: Order, instrument: Instrument, change: OrderChange, now_ms: int) -> Order:
    """Return an order after what has happened to it."""
    return replace(
        before,
        filled=before.filled + amount(instrument, change.executed),
        filled_quote=before.filled_quote + _cost(instrument, change.value),
        status=OrderStatus(change.status),
        updated_ms=now_ms,
    )


def fill(market: Market, instrument: Instrument, row: FillRow) -> Fill:
    """Return one account's side of a trade."""
    return Fill(
        fill_id=row.trade_id,
        order_id=row.order_id,
        market=market,
        side=Side(row.side),
        price=price(instrument, row.price),
        amount=amount(instrument, row.quantity),
        is_maker=row.is_maker,
        at_ms=unix_ms(row.traded_at),
        fee=row.fee,
    )


def fresh_fill(market: Market, instrument: Instrument, made: FreshFill, now_ms: int) -> Fill:
    """Return one account's side of a trade that has just been made."""
    return Fill(
        fill_id=made.trade_id,
        order_id=made.order_id,
        market=market,
        side=Side(made.side),
        price=price(instrument, made.price),
        amount=amount(instrument, made.quantity),
        is_maker=made.is_maker,
        at_ms=now_ms,
    )


def balance(held: Holding) -> Balance:
    """Return what an account has of an asset."""
    available, locked = (in_decimal(atoms, ATOMS_PER_UNIT) for atoms in held[2:])
    return Balance(held.asset, available, locked)


def public_trade(instrument: Instrument, row: Trade) -> PublicTrade:
    """Return a trade as everybody sees it."""
    return PublicTrade(
        trade_id=row.id,
        price=price(instrument, row.price),
        amount=amount(instrument, row.quantity),
        side=Side(row.taker_side),
        at_ms=unix_ms(row.traded_at),
    )


def deposit(row: VenueTransfer) -> Deposit:
    """Return what an account was given; less than nothing, where it was taken."""
    return Deposit(row.number, row.asset, row.amount, unix_ms(row.at))


def levels(instrument: Instrument, depth: list[tuple[int, int]]) -> tuple[Level, ...]:
    """Return one side of a book."""
    return tuple(Level(price(instrument, at), amount(instrument, lots)) for at, lots in depth)


def price(instrument: Instrument, ticks: int) -> Decimal:
    """Return a price in the quote asset."""
    return Decimal(ticks) / instrument.ticks_per_unit


def amount(instrument: Instrument, lots: int) -> Decimal:
    """Return a quantity in the base asset."""
    return Decimal(lots) / instrument.lots_per_unit


def unix_ms(at: datetime) -> int:
    """Return a moment in Unix milliseconds."""
    return (at - _EPOCH) // _MILLISECOND


def moment(at_ms: int) -> datetime:
    """Return the moment of Unix milliseconds."""
    return _EPOCH + at_ms * _MILLISECOND


def _own_name(client_order_id: str | None) -> str:
    # One that was made on the way to the engine is not the owner's.
    is_made = client_order_id is None or client_order_id.startswith(MADE_NAME)
    return "" if is_made else client_order_id or ""


def _cost(instrument: Instrument, value: int) -> Decimal:
    return Decimal(value) / (instrument.ticks_per_unit * instrument.lots_per_unit)


def _whole(number: Decimal | None, per_unit: int, rule: str) -> int | None:
    if number is None:
        return None
    units = whole_units(number, per_unit)
    if units is None:
        raise OrderRefused(rule)
    return units


def _budget(instrument: Instrument, spends: Decimal | None) -> int | None:
    if spends is None:
        return None
    numerator, denominator = spends.as_integer_ratio()
    atoms = numerator * ATOMS_PER_UNIT // denominator
    dearest = instrument.price_ticks_max * instrument.order_lots_max
    if atoms > dearest * instrument.tick_lot_atoms:
        # More than all there is to buy costs, so nobody here has it either.
        raise OrderRefused("insufficient_funds")
    return atoms
