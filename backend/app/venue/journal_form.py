"""The commands of one batch as bytes: JSON columns, readable without this program.

`{"form": 1, "accounts": [..], "instruments": [..], "sides": "bs..", "prices": [..],
"quantities": [..], "client_order_ids": [..]}`; the nth entry of each belongs to the nth order.
"""

import json
from collections.abc import Sequence
from typing import Final

from backend.app.venue.books import NewOrder
from backend.app.venue.orders import Side

FORM: Final = 1
_LETTERS: Final = {Side.BUY: "b", Side.SELL: "s"}
_SIDES: Final = {"b": Side.BUY, "s": Side.SELL}


class JournalUnreadable(Exception):
    """An entry of the journal is not of a form this code knows."""


def written(orders: Sequence[NewOrder]) -> bytes:
    """Return the bytes of a batch of at least one order."""
    accounts, instruments, sides, prices, quantities, names = zip(*orders, strict=True)
    columns = {
        "form": FORM,
        "accounts": accounts,
        "instruments": instruments,
        "sides": "".join([_LETTERS[side] for side in sides]),
        "prices": prices,
        "quantities": quantities,
        "client_order_ids": names if any(names) else None,
    }
    return json.dumps(columns, separators=(",", ":")).encode()


def read(entry: bytes) -> list[NewOrder]:
    """Return the orders of a batch.

    Raises:
        JournalUnreadable: these are not the bytes of one.
    """
    try:
        columns = json.loads(entry)
        if columns["form"] != FORM:
            raise JournalUnreadable(f"form {columns['form']}")
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
    except (ValueError, KeyError, TypeError) as error:
        raise JournalUnreadable(type(error).__name__) from None
