"""What must come of whatever traders do: the plain reference book, and money in whole atoms.

It shares the vocabulary with the venue, and no line of its logic. One market, BTC/USDT.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from backend.app.venue.orders import OrderType, Place, SelfTrade, Side, TimeInForce
from backend.tests.support.reference_book import (
    Cancel,
    CancelAll,
    Cancelled,
    Event,
    ReferenceBook,
    Rejected,
    Traded,
)

ATOMS: Final = 10**12
LOT: Final = 10**7
"""0.00001 BTC."""
TICK_LOT: Final = 10**5
"""0.01 USDT for a lot."""
_FEE_STEP: Final = 10**4


@dataclass
class Standing:
    """An order as the model knows it."""

    place: Place
    executed: int = 0
    value: int = 0
    status: str = "open"


@dataclass
class Model:
    """The market and everybody's money."""

    book: ReferenceBook = field(default_factory=ReferenceBook)
    orders: dict[int, Standing] = field(default_factory=dict)
    available: dict[tuple[int, str], int] = field(default_factory=dict)
    locked: dict[tuple[int, str], int] = field(default_factory=dict)
    fees: dict[str, int] = field(default_factory=lambda: {"BTC": 0, "USDT": 0})
    paid_in: dict[str, int] = field(default_factory=lambda: {"BTC": 0, "USDT": 0})

    def move(self, account: int, asset: str, amount: int) -> bool:
        """Put test funds in, or take them out; say whether that can be."""
        if self.available.get((account, asset), 0) + amount < 0:
            return False
        self._add(self.available, account, asset, amount)
        self.paid_in[asset] += amount
        return True

    def refusal(self, account: int, asked: dict[str, Any]) -> str | None:
        """Return the code an order is refused with, or None if it is placed."""
        place = self._place(account, asked, 2**62)
        if place is None:
            return "order-refused"
        trial = deepcopy(self.book).place(place)
        if any(isinstance(each, Rejected) for each in trial):
            return "post-only-would-take"
        needed = self._needed(place, trial)
        asset = "USDT" if place.side is Side.BUY else "BTC"
        return None if needed <= self.available.get((account, asset), 0) else "insufficient-funds"

    def place(self, account: int, asked: dict[str, Any], number: int) -> None:
        """Let an order that was placed do what it does."""
        place = self._place(account, asked, number)
        assert place is not None
        self.orders[number] = Standing(place)
        self._lock(place, place.quantity)
        self._settle(self.book.place(place))

    def cancel(self, account: int, number: int) -> str | None:
        """Take an order back; return the code of the refusal, if it is refused."""
        standing = self.orders.get(number)
        if standing is None or standing.place.account_id != account:
            return "order-not-found"
        if number not in self._open():
            return "order-not-open"
        self._settle(self.book.apply(Cancel(number, account)))
        return None

    def cancel_all(self, account: int) -> list[int]:
        """Take all orders of somebody back, and return which."""
        events = self.book.apply(CancelAll(account))
        self._settle(events)
        return sorted(each.order_id for each in events if isinstance(each, Cancelled))

    def wallet(self, account: int, asset: str) -> tuple[int, int]:
        """Return what somebody has available, and locked."""
        return self.available.get((account, asset), 0), self.locked.get((account, asset), 0)

    def depth(self, side: Side) -> list[tuple[int, int]]:
        """Return what rests on a side, the best price first."""
        levels: dict[int, int] = {}
        for each in self.book.open:
            if each.place.side is side and not each.waits:
                price = each.place.price or 0
                levels[price] = levels.get(price, 0) + each.left
        return sorted(levels.items(), reverse=side is Side.BUY)

    def status(self, number: int) -> str:
        """Return how far an order got."""
        standing = self.orders[number]
        rest = self._open().get(number)
        if rest is None:
            whole = standing.executed == standing.place.quantity
            return "filled" if whole else "cancelled"
        if rest.waits:
            return "waiting"
        return "partially_filled" if standing.executed else "open"

    def hold(self) -> None:
        """Fail if money came from nowhere, or what is locked is not what open orders hold."""
        for asset in ("BTC", "USDT"):
            held = [
                amount
                for pocket in (self.available, self.locked)
                for (_, held_asset), amount in pocket.items()
                if held_asset == asset
            ]
            assert min(held, default=0) >= 0
            assert sum(held) + self.fees[asset] == self.paid_in[asset]
        reserved: dict[tuple[int, str], int] = {}
        for number, rest in self._open().items():
            place = self.orders[number].place
            asset, amount = _reserve(place, rest.left)
            key = place.account_id, asset
            reserved[key] = reserved.get(key, 0) + amount
        assert {key: amount for key, amount in self.locked.items() if amount} == reserved

    def _open(self) -> dict[int, Any]:
        return {each.place.order_id: each for each in self.book.open}

    def _place(self, account: int, asked: dict[str, Any], number: int) -> Place | None:
        side, kind = Side(asked["side"]), OrderType(asked["type"])
        quantity = lots(asked["quantity"]) if "quantity" in asked else 0
        if "quote_quantity" in asked:
            quantity = self._affordable(side, atoms(asked["quote_quantity"]))
            if not quantity:
                return None
        return Place(
            order_id=number,
            account_id=account,
            side=side,
            quantity=quantity,
            price=ticks(asked.get("price")),
            type=kind,
            time_in_force=TimeInForce(asked.get("time_in_force", "gtc")),
            stop_price=ticks(asked.get("stop_price")),
            self_trade=SelfTrade(asked.get("self_trade_prevention", "allow")),
        )

    def _affordable(self, side: Side, budget: int) -> int:
        """Return how many lots a budget buys; one more, never to be had, if it buys them all."""
        count = 0
        for price, quantity in self.depth(Side.SELL if side is Side.BUY else Side.BUY):
            for _ in range(quantity):
                if budget < price * TICK_LOT:
                    return count
                budget -= price * TICK_LOT
                count += 1
        return count + 1

    def _needed(self, place: Place, trial: list[Event]) -> int:
        if place.side is Side.SELL:
            return place.quantity * LOT
        if place.price is not None:
            return place.quantity * place.price * TICK_LOT
        # What it would take, were it to take at once: stop orders that follow are not its own.
        return sum(
            each.price * each.quantity * TICK_LOT
            for each in trial
            if isinstance(each, Traded) and each.taker_order_id == place.order_id
        )

    def _lock(self, place: Place, quantity: int) -> None:
        asset, amount = _reserve(place, quantity)
        self._add(self.available, place.account_id, asset, -amount)
        self._add(self.locked, place.account_id, asset, amount)

    def _settle(self, events: list[Event]) -> None:
        for each in events:
            if isinstance(each, Traded):
                for number in (each.maker_order_id, each.taker_order_id):
                    self._pay(self.orders[number], each)
            elif isinstance(each, Cancelled):
                self._lock(self.orders[each.order_id].place, -each.quantity)

    def _pay(self, standing: Standing, trade: Traded) -> None:
        place, worth = standing.place, trade.price * trade.quantity * TICK_LOT
        standing.executed += trade.quantity
        standing.value += trade.price * trade.quantity
        self._lock(place, -trade.quantity)
        bought, sold = ("BTC", trade.quantity * LOT), ("USDT", worth)
        (receives, received), (gives, given) = (
            (bought, sold) if place.side is Side.BUY else (sold, bought)
        )
        fee = received // 1000 // _FEE_STEP * _FEE_STEP
        self._add(self.available, place.account_id, gives, -given)
        self._add(self.available, place.account_id, receives, received - fee)
        self.fees[receives] += fee

    @staticmethod
    def _add(pocket: dict[tuple[int, str], int], account: int, asset: str, amount: int) -> None:
        pocket[account, asset] = pocket.get((account, asset), 0) + amount


def _reserve(place: Place, quantity: int) -> tuple[str, int]:
    if place.side is Side.SELL:
        return "BTC", quantity * LOT
    return "USDT", quantity * (place.price or 0) * TICK_LOT


def atoms(amount: str) -> int:
    """Return an amount in atoms."""
    return int(Decimal(amount) * ATOMS)


def lots(quantity: str) -> int:
    """Return a quantity in lots."""
    return int(Decimal(quantity) * 100_000)


def ticks(price: str | None) -> int | None:
    """Return a price in ticks."""
    return None if price is None else int(Decimal(price) * 100)
