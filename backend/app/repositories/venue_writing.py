"""The one statement that writes a batch: journal, orders, trades, fills and money, or nothing.

A row of the epoch, or no row of anything: whoever was fenced off writes nothing, wherever it was
paused. Numbers come as arrays in text, which PostgreSQL reads in less time than the driver takes to
look at each of them (bench/venue.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from backend.app.venue.batch import Batch, Line, Pocket
from backend.app.venue.commands import Command, MoveFunds, NewOrder
from backend.app.venue.orders import OrderType, SelfTrade, TimeInForce

MOVEMENTS_FROM: Final = 2**60
"""A command's movement has its number, above all that the ledger's own sequence will give."""

_HEAD: Final = """
WITH leader AS (
    SELECT epoch FROM venue_epochs WHERE shard = $1 AND epoch = $2 FOR SHARE
), journaled AS (
    INSERT INTO venue_journal (shard, sequence, epoch, at, first_number, commands, changed)
    SELECT $1, $3, leader.epoch, $4, $5, $6, $17::text::bigint[] FROM leader
), placed AS (
    INSERT INTO orders (id, account_id, instrument_id, side, price, quantity, client_order_id,
        executed_quantity, executed_value, status, created_at, updated_at{columns})
    SELECT placed.id, placed.account_id, placed.instrument_id, placed.side, placed.price,
        placed.quantity, placed.client_order_id, placed.executed, placed.value, placed.status,
        $4, $4{values}
    FROM leader, unnest($7::text::bigint[], $8::text::bigint[], $9::text::int[], $10::text::text[],
        $11::text::bigint[], $12::text::bigint[], $13::text[], $14::text::bigint[],
        $15::text::bigint[], $16::text::text[]{arrays})
        AS placed (id, account_id, instrument_id, side, price, quantity, client_order_id, executed,
            value, status{columns})
), changed AS (
    UPDATE orders SET executed_quantity = executed_quantity + changes.executed,
        executed_value = executed_value + changes.value, status = changes.status, updated_at = $4
    FROM leader, unnest($17::text::bigint[], $18::text::bigint[], $19::text::bigint[],
        $20::text::text[]) AS changes (id, executed, value, status)
    WHERE orders.id = changes.id
), traded AS (
    INSERT INTO trades (id, instrument_id, maker_order_id, taker_order_id, taker_side, price,
        quantity, traded_at)
    SELECT traded.*, $4
    FROM leader, unnest($21::text::bigint[], $22::text::int[], $23::text::bigint[],
        $24::text::bigint[], $25::text::text[], $26::text::bigint[], $27::text::bigint[])
        AS traded
)"""
_TAIL: Final = " SELECT count(*) FROM leader"
_MONEY: Final = """, filled AS (
    INSERT INTO fills (account_id, trade_id, instrument_id, order_id, side, is_maker, price,
        quantity, fee, traded_at)
    SELECT account_id, trade_id, instrument_id, order_id, side, is_maker, price, quantity,
        fee * 0.000000000001, $4
    FROM leader, unnest($33::text::bigint[], $34::text::bigint[], $35::text::int[],
        $36::text::bigint[], $37::text::text[], $38::text::boolean[], $39::text::bigint[],
        $40::text::bigint[], $41::text::numeric[])
        AS fills (account_id, trade_id, instrument_id, order_id, side, is_maker, price, quantity,
            fee)
), transferred AS (
    INSERT INTO venue_transfers (number, account_id, asset, amount, reference, at)
    SELECT number, account_id, asset, amount * 0.000000000001, reference, $4
    FROM leader, unnest($42::text::bigint[], $43::text::bigint[], $44::text[],
        $45::text::numeric[], $46::text[])
        AS transfers (number, account_id, asset, amount, reference)
), moved AS (
    INSERT INTO ledger_movements (id, kind, reference_id, at)
    SELECT number + {movements_from}, kind, number, $4
    FROM leader, unnest($47::text::bigint[], $48::text::text[]) AS moved (number, kind)
), booked AS (
    INSERT INTO ledger_lines (movement_id, account_id, amount)
    SELECT number + {movements_from}, account_id, amount * 0.000000000001
    FROM leader, unnest($49::text::bigint[], $50::text::bigint[], $51::text::numeric[])
        AS lines (number, account_id, amount)
)"""
# Most batches hold plain limit orders and no money; the rest is left out where it is not needed.
PLAIN: Final = _HEAD.format(columns="", values="", arrays="") + _TAIL
FULL: Final = (
    _HEAD.format(
        columns=", order_type, time_in_force, stop_price, self_trade, budget",
        values=", placed.order_type, placed.time_in_force, placed.stop_price, placed.self_trade,"
        " placed.budget * 0.000000000001",
        arrays=", $28::text::text[], $29::text::text[], $30::text::bigint[], $31::text::text[],"
        " $32::text::numeric[]",
    )
    + _MONEY.format(movements_from=MOVEMENTS_FROM)
    + _TAIL
)

WalletKey = tuple[int | None, Pocket, str]
_ORDER_COLUMNS: Final = 11
_IS_PLAIN: Final = ({OrderType.LIMIT}, {TimeInForce.GTC}, {SelfTrade.ALLOW})


def wallet_of(line: Line) -> WalletKey:
    """Return which account of the ledger a line is about."""
    _, account_id, asset, pocket, _ = line
    return account_id, pocket, asset


def movement_kind(command: Command) -> str:
    """Return what the ledger calls the movement of a command."""
    if isinstance(command, NewOrder):
        return "order"
    if isinstance(command, MoveFunds):
        return "deposit" if command.amount > 0 else "payout"
    return "cancel"


def statement(batch: Batch, wallet_ids: Mapping[WalletKey, int]) -> tuple[str, list[Any]]:
    """Return the statement that writes a batch, and its parameters from $7 on.

    The ids of all wallets its lines name are among `wallet_ids`.
    """
    ids, orders, executed, values, statuses = _columns(batch.placed, 5)
    accounts, instruments, sides, prices, quantities, names, *others = _columns(
        orders, _ORDER_COLUMNS
    )
    kinds, forces, stops, self_trades, budgets = others
    changes = _columns(list(batch.changed.values()), 3)
    parameters = [
        *(_numbers(ids), _numbers(accounts), _numbers(instruments), _words(sides)),
        *(_numbers(prices), _numbers(quantities)),
        # A shorter column is filled up with nulls.
        names if any(names) else (),
        *(_numbers(executed), _numbers(values), _words(statuses)),
        *(_numbers(batch.changed), _numbers(changes[0]), _numbers(changes[1]), _words(changes[2])),
        *_of_trades(batch),
    ]
    is_plain = (set(kinds), set(forces), set(self_trades)) == _IS_PLAIN or not orders
    if is_plain and not batch.lines:
        return PLAIN, parameters
    parameters += (_words(kinds), _words(forces), _numbers(stops), _words(self_trades))
    parameters += (_numbers(budgets), *_of_money(batch, wallet_ids))
    return FULL, parameters


def _of_trades(batch: Batch) -> list[Any]:
    ids, instruments, makers, takers, sides, prices, quantities = _columns(batch.trades, 7)
    before, after = (ids, instruments, makers, takers), (prices, quantities)
    return [*map(_numbers, before), _words(sides), *map(_numbers, after)]


def _of_money(batch: Batch, wallet_ids: Mapping[WalletKey, int]) -> list[Any]:
    accounts, trades, instruments, orders, sides, makers, prices, quantities, fees = _columns(
        batch.fills, 9
    )
    transfers = [
        (number, each.account_id, each.asset, each.amount, each.reference)
        for number, each in enumerate(batch.commands, batch.first_number)
        if isinstance(each, MoveFunds)
    ]
    numbers, owners, assets, amounts, references = _columns(transfers, 5)
    moved = dict.fromkeys(line.number for line in batch.lines)
    return [
        *(_numbers(accounts), _numbers(trades), _numbers(instruments), _numbers(orders)),
        *(_words(sides), _words("t" if each else "f" for each in makers)),
        *(_numbers(prices), _numbers(quantities), _numbers(fees)),
        *(_numbers(numbers), _numbers(owners), assets, _numbers(amounts), references),
        _numbers(moved),
        _words(movement_kind(batch.commands[number - batch.first_number]) for number in moved),
        _numbers(line.number for line in batch.lines),
        _numbers(wallet_ids[wallet_of(line)] for line in batch.lines),
        _numbers(line.amount for line in batch.lines),
    ]


def _numbers(numbers: Iterable[int | None]) -> str:
    text = str(list(numbers))
    return "{" + (text.replace("None", "NULL") if "N" in text else text)[1:-1] + "}"


def _words(words: Iterable[str]) -> str:
    return "{" + ",".join(words) + "}"


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * count
