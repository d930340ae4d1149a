"""What is told of an account comes in the order it happened in: the order, then the balance."""

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Any, cast

import pytest

from backend.app.exchanges.answers.base import World
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import (
    Fill,
    Market,
    Order,
    OrderStatus,
    OrderType,
    Side,
)
from backend.app.sandbox.user_stream import LOOKS_PER_BALANCE, UserStream

HUNDREDTH = Decimal("0.01")
BTC = Market("BTC", "USDT", HUNDREDTH, HUNDREDTH, HUNDREDTH, Decimal(9_000), Decimal(5))


class OneAccount:
    """A world of one account. `meanwhile` happens once, as soon as its orders were looked up."""

    def __init__(self) -> None:
        self.orders_placed: list[Order] = []
        self.usdt = Balance("USDT", Decimal(1_000))
        self.meanwhile: Callable[[], None] | None = None

    def now_ms(self) -> int:
        return 1_000

    async def orders(self, account_id: str) -> Sequence[Order]:
        return tuple(self.orders_placed)

    async def open_orders(self, account_id: str) -> Sequence[Order]:
        return tuple(self.orders_placed)

    async def order_news(
        self, account_id: str, after_id: int, watched: Collection[int]
    ) -> Sequence[Order]:
        found = [
            order
            for order in self.orders_placed
            if order.order_id > after_id or order.order_id in watched
        ]
        if self.meanwhile is not None:
            self.meanwhile()
            self.meanwhile = None
        return found

    async def fills(self, account_id: str, symbol: str | None, order_id: int) -> Sequence[Fill]:
        return ()

    async def balances(self, account_id: str) -> Sequence[Balance]:
        return (Balance("BTC", Decimal(1)), self.usdt)

    def rest(self) -> None:
        number, price = len(self.orders_placed) + 1, Decimal(100)
        resting = Order(
            order_id=number,
            client_order_id="",
            market=BTC,
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            status=OrderStatus.OPEN,
            price=price,
            amount=Decimal(1),
            filled=Decimal(0),
            filled_quote=Decimal(0),
            created_ms=1_000,
            updated_ms=1_000,
        )
        self.orders_placed.append(resting)
        self.usdt = Balance("USDT", self.usdt.available - price, self.usdt.locked + price)


async def begun(world: OneAccount) -> UserStream:
    stream = UserStream(cast("World", world), "binance:full")
    await stream.begin()
    return stream


async def news(stream: UserStream, looks: int = LOOKS_PER_BALANCE) -> list[dict[str, Any]]:
    return [event for _ in range(looks) for event in await stream.news()]


@pytest.mark.parametrize("look", range(LOOKS_PER_BALANCE + 1))
async def test_whenever_an_order_comes_it_is_told_before_what_it_did_to_the_balance(
    look: int,
) -> None:
    world = OneAccount()
    stream = await begun(world)
    assert await news(stream, look) == []

    world.meanwhile = world.rest
    told = await news(stream)

    assert [(event["e"], event.get("x")) for event in told] == [
        ("executionReport", "NEW"),
        ("outboundAccountPosition", None),
    ]
    assert {line["a"]: (line["f"], line["l"]) for line in told[1]["B"]} == {
        "BTC": ("1", "0"),
        "USDT": ("900", "100"),
    }


async def test_an_order_that_came_between_two_looks_has_its_balance_told_after_it() -> None:
    world = OneAccount()
    stream = await begun(world)
    world.rest()
    # The balance of the second is seen with the first.
    world.meanwhile = world.rest

    told = await news(stream, 2)

    assert [event["e"] for event in told] == [
        "executionReport",
        "outboundAccountPosition",
        "executionReport",
        "outboundAccountPosition",
    ]


async def test_a_deposit_is_told_by_itself() -> None:
    world = OneAccount()
    stream = await begun(world)
    world.usdt = Balance("USDT", Decimal(5_000))

    [told] = await news(stream)

    assert told["B"] == [{"a": "USDT", "f": "5000", "l": "0"}]
