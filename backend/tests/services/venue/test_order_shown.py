"""What is written of an order without its model is what the model would have written."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic_core import to_json

from backend.app.schemas.order_schemas import OrderShown
from backend.app.services.venue.desk import Known
from backend.app.services.venue.order_shown import moments, placed
from backend.app.venue.batch import OrderStatus
from backend.app.venue.commands import NewOrder
from backend.app.venue.instruments import Instrument
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce

MARKET = Instrument(1, "BTC/USDT", "BTC/USDT", "USDT", 100, 1, 10**9, 10**9, "BTC", 10**6)
AT = datetime(2026, 11, 21, 12, 0, 0, 120_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "executed", "status"),
    [
        ({"price": 6_000_000, "quantity": 1_000}, 0, OrderStatus.OPEN),
        ({"price": 6_000_000, "quantity": 3, "client_order_id": "naïve"}, 3, OrderStatus.FILLED),
        (
            {
                "price": 1,
                "quantity": 10,
                "type": OrderType.STOP_LIMIT,
                "stop_price": 2,
                "time_in_force": TimeInForce.POST_ONLY,
                "self_trade": SelfTrade.CANCEL_BOTH,
            },
            0,
            OrderStatus.WAITING,
        ),
        (
            {"price": None, "quantity": 0, "type": OrderType.MARKET, "budget": 10**12},
            7,
            OrderStatus.CANCELLED,
        ),
    ],
)
def test_a_placed_order_is_written_as_its_model_writes_it(
    asked: dict[str, Any], executed: int, status: OrderStatus
) -> None:
    order = NewOrder(account_id=1, instrument_id=1, side=Side.SELL, **asked)
    known = Known(2**40 + 1, order, executed, executed * 5_999_999, status, AT)
    members = placed(MARKET, known, moments([known])[AT])

    shown = OrderShown.model_validate({**members, "created_at": AT, "updated_at": AT})
    assert to_json(members).decode() == shown.model_dump_json()
