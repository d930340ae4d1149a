"""What the journal holds is read as it was written, by this program and without it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.venue.commands import CancelAllOrders, CancelOrder, Command, MoveFunds, NewOrder
from backend.app.venue.journal_form import JournalUnreadable, read, written
from backend.app.venue.orders import OrderType, Side
from backend.tests.support.venue_stories import COMMANDS

PLAIN = NewOrder(7, 1, Side.BUY, 500)


@given(commands=st.lists(COMMANDS, min_size=1, max_size=20))
def test_commands_are_read_as_they_were_written(commands: list[Command]) -> None:
    assert read(written(commands)) == commands


def test_plain_limit_orders_are_columns() -> None:
    assert json.loads(written([PLAIN, PLAIN._replace(side=Side.SELL, client_order_id="a")])) == {
        "form": 1,
        "accounts": [7, 7],
        "instruments": [1, 1],
        "sides": "bs",
        "prices": [500, 500],
        "quantities": [1, 1],
        "client_order_ids": [None, "a"],
    }


def test_everything_else_is_a_list_that_says_what_is_unusual() -> None:
    market = NewOrder(7, 11, Side.BUY, None, 0, type=OrderType.MARKET, budget=5)
    commands = [market, CancelOrder(7, 1, 3), CancelAllOrders(7, None), MoveFunds(7, "BTC", 9, "r")]

    assert json.loads(written(commands)) == {
        "form": 2,
        "commands": [
            {
                "do": "order",
                "account_id": 7,
                "instrument_id": 11,
                "side": "buy",
                "price": None,
                "quantity": 0,
                "type": "market",
                "budget": 5,
            },
            {"do": "cancel", "account_id": 7, "instrument_id": 1, "order_id": 3},
            {"do": "cancel_all", "account_id": 7, "instrument_id": None},
            {"do": "move_funds", "account_id": 7, "asset": "BTC", "amount": 9, "reference": "r"},
        ],
    }


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"form":3}',
        b'{"form":1,"accounts":[1]}',
        b'{"form":2,"commands":[{"do":"rob"}]}',
        b'{"form":2,"commands":[{"do":"cancel","account_id":1}]}',
        written([PLAIN, CancelOrder(7, 1, 3)]).replace(b'"buy"', b'"up"'),
        b'{"form":2,"commands":["order"]}',
    ],
)
def test_what_is_no_entry_is_not_read(entry: bytes) -> None:
    with pytest.raises(JournalUnreadable):
        read(entry)
