"""The commands of one batch as bytes: JSON, readable without this program.

Form 1, for plain limit orders only, is columns; the nth entry of each belongs to the nth order:
`{"form": 1, "accounts": [..], "instruments": [..], "sides": "bs..", "prices": [..],
"quantities": [..], "client_order_ids": [..]}`.

Form 2, for everything else, is a list of commands; what an order does not say is as in a plain one:
`{"form": 2, "commands": [{"do": "order", "account_id": 1, ..}, {"do": "cancel", ..}, ..]}`.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from backend.app.venue.commands import CancelAllOrders, CancelOrder, Command, MoveFunds, NewOrder
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce

_COLUMNS: Final = 1
_LIST: Final = 2
_LETTERS: Final = {Side.BUY: "b", Side.SELL: "s"}
_SIDES: Final = {"b": Side.BUY, "s": Side.SELL}
# What comes after the columns' own fields in an order that form 1 can hold.
_PLAIN: Final = (OrderType.LIMIT, TimeInForce.GTC, None, SelfTrade.ALLOW, None)
_ORDER: Final = "order"
_OTHERS: Final[dict[str, type[CancelOrder | CancelAllOrders | MoveFunds]]] = {
    "cancel": CancelOrder,
    "cancel_all": CancelAllOrders,
    "move_funds": MoveFunds,
}
_NAMES: Final = {kind: name for name, kind in _OTHERS.items()}
_WORDS: Final = {
    "side": Side,
    "type": OrderType,
    "time_in_force": TimeInForce,
    "self_trade": SelfTrade,
}


class JournalUnreadable(Exception):
    """An entry of the journal is not of a form this code knows."""


def written(commands: Sequence[Command]) -> bytes:
    """Return the bytes of a batch of at least one command."""
    orders = [each for each in commands if type(each) is NewOrder and each[6:] == _PLAIN]
    if len(orders) == len(commands):
        said = _columns(orders)
    else:
        said = {"form": _LIST, "commands": [_told(each) for each in commands]}
    return json.dumps(said, separators=(",", ":")).encode()


def read(entry: bytes) -> list[Command]:
    """Return the commands of a batch.

    Raises:
        JournalUnreadable: these are not the bytes of one.
    """
    try:
        said = json.loads(entry)
        if said["form"] == _COLUMNS:
            return _orders(said)
        if said["form"] == _LIST:
            return [_command(each) for each in said["commands"]]
        raise JournalUnreadable(f"form {said['form']}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalUnreadable(type(error).__name__) from None


def _columns(orders: Sequence[NewOrder]) -> dict[str, Any]:
    accounts, instruments, sides, prices, quantities, names, *_ = zip(*orders, strict=True)
    return {
        "form": _COLUMNS,
        "accounts": accounts,
        "instruments": instruments,
        "sides": "".join([_LETTERS[side] for side in sides]),
        "prices": prices,
        "quantities": quantities,
        "client_order_ids": names if any(names) else None,
    }


def _orders(columns: dict[str, Any]) -> list[Command]:
    accounts = columns["accounts"]
    return [
        NewOrder(account, instrument, _SIDES[side], price, quantity, name)
        for account, instrument, side, price, quantity, name in zip(
            accounts,
            columns["instruments"],
            columns["sides"],
            columns["prices"],
            columns["quantities"],
            columns["client_order_ids"] or [None] * len(accounts),
            strict=True,
        )
    ]


def _told(command: Command) -> dict[str, Any]:
    if not isinstance(command, NewOrder):
        return {"do": _NAMES[type(command)], **command._asdict()}
    usual = NewOrder._field_defaults
    said = {
        name: value
        for name, value in command._asdict().items()
        if name not in usual or value != usual[name]
    }
    return {"do": _ORDER, **said}


def _command(said: dict[str, Any]) -> Command:
    kind = said.pop("do")
    if kind != _ORDER:
        return _OTHERS[kind](**said)
    for name, words in _WORDS.items():
        if name in said:
            said[name] = words(said[name])
    return NewOrder(**said)
