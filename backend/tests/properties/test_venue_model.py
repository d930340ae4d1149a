"""The spot markets against a plain model, over HTTP: whatever traders do, money and books agree."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from backend.app.services.venue.replay import replay
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.venue.orders import Side
from backend.tests.support.examples import one_in
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.spot import MARKETS, ORDERS, WALLETS, Trader, told
from backend.tests.support.venue import led
from backend.tests.support.venue_model import ATOMS, Model, atoms, lots, ticks
from backend.tests.support.world import House, running_house

SHORT_STEPS = 20
LONG_STEPS, LONG_EXAMPLES = 40, 60
# Few prices and quantities, so that orders meet; odd ones, so that fees are rounded.
PRICES = st.integers(0, 5).map(lambda step: f"{10_000 + step}.37")
QUANTITIES = st.sampled_from(["0.001", "0.00137", "0.00273", "0.005"])
AMOUNTS = st.sampled_from(["0.000000000001", "0.00731", "20.5", "150"])
TRADERS = st.sampled_from([0, 1, 2])
ASSETS = st.sampled_from(["BTC", "USDT"])
SIDES = st.sampled_from(["buy", "sell"])
FORCES = st.sampled_from(["gtc", "gtc", "gtc", "ioc", "fok", "post_only"])
PREVENTIONS = st.sampled_from(["allow", "cancel_taker", "cancel_maker", "cancel_both"])
LIMITS = st.fixed_dictionaries(
    {
        "type": st.just("limit"),
        "side": SIDES,
        "price": PRICES,
        "quantity": QUANTITIES,
        "time_in_force": FORCES,
        "self_trade_prevention": PREVENTIONS,
    }
)
STOPS = st.fixed_dictionaries(
    {
        "type": st.just("stop_limit"),
        "side": SIDES,
        "price": PRICES,
        "stop_price": PRICES,
        "quantity": QUANTITIES,
        "time_in_force": FORCES,
    }
)
TAKING = st.fixed_dictionaries({"type": st.just("market"), "side": SIDES, "quantity": QUANTITIES})
PAYING = st.fixed_dictionaries(
    {
        "type": st.just("market"),
        "side": st.just("buy"),
        "quote_quantity": st.sampled_from(["5", "13.7", "31.123456789012", "80"]),
    }
)
ASKED = st.one_of(LIMITS, LIMITS, STOPS, TAKING, PAYING)


class Spot(RuleBasedStateMachine):
    """Three traders do what the routes allow; the model says what must come of it."""

    numbers = Bundle("numbers")

    def __init__(self, house: House, runner: asyncio.Runner, model: Model) -> None:
        super().__init__()
        self._house = house
        self._runner = runner
        self._model = model
        self._traders: list[Trader] = []
        self._sent: list[tuple[int, dict[str, Any], int]] = []

    @initialize()
    def three_traders_with_some_money(self) -> None:
        for _ in range(3):
            who = self._run(self._house.somebody())
            self._traders.append(Trader(self._house.client, who))
        for number in range(3):
            for asset, amount in (("BTC", "0.02"), ("USDT", "200")):
                self.transfer(number, "deposits", asset, amount)

    @rule(
        number=TRADERS,
        way=st.sampled_from(["deposits", "withdrawals"]),
        asset=ASSETS,
        amount=AMOUNTS,
    )
    def transfer(self, number: int, way: str, asset: str, amount: str) -> None:
        trader = self._traders[number]
        answer = self._run(trader.transfer(way, asset, amount))
        signed = atoms(amount) if way == "deposits" else -atoms(amount)
        can_be = self._model.move(trader.who.user_id, asset, signed)
        assert answer.status_code == (201 if can_be else 409), answer.text

    @rule(target=numbers, number=TRADERS, asked=ASKED)
    def place(self, number: int, asked: dict[str, Any]) -> Any:
        named = {**asked, "client_order_id": f"order-{len(self._sent)}"}
        return self._placed(number, asked, self._run(self._traders[number].place(**named)))

    @rule(target=numbers, number=TRADERS, several=st.lists(ASKED, min_size=1, max_size=4))
    def place_all(self, number: int, several: list[dict[str, Any]]) -> Any:
        items = self._run(self._traders[number].place_all(*several))
        # Each is shown as it stood at the end of the batch; whether it was placed is what counts.
        placed = []
        for asked, item in zip(several, items, strict=True):
            told_of = item.get("order") or {**item["problem"], "http": item["problem"]["status"]}
            placed += self._told(number, asked, told_of)
        return multiple(*placed)

    @rule(which=st.integers(0, 50))
    def send_again(self, which: int) -> None:
        named = [each for each in self._sent if "client_order_id" in each[1]]
        if named:
            number, asked, order_id = named[which % len(named)]
            again = self._run(self._traders[number].place(**asked))
            assert (again["http"], again["id"]) == (201, order_id)

    @rule(number=TRADERS, order_id=numbers)
    def cancel(self, number: int, order_id: int) -> None:
        trader = self._traders[number]
        answer = self._run(trader.cancel(order_id))
        assert answer.get("code") == self._model.cancel(trader.who.user_id, order_id)

    @rule(number=TRADERS)
    def cancel_all(self, number: int) -> None:
        trader = self._traders[number]
        answer = self._run(trader.delete(ORDERS, symbol="BTC/USDT")).json()
        assert answer["cancelled"] == self._model.cancel_all(trader.who.user_id)

    @rule(number=TRADERS, order_id=numbers)
    def look(self, number: int, order_id: int) -> None:
        trader = self._traders[number]
        standing = self._model.orders[order_id]
        answer = told(self._run(trader.get(f"{ORDERS}/{order_id}")))
        if standing.place.account_id != trader.who.user_id:
            assert (answer["http"], answer["code"]) == (404, "order-not-found")
        else:
            assert answer["status"] == self._model.status(order_id)
            assert lots(answer["executed_quantity"]) == standing.executed

    @invariant()
    def wallets_and_books_are_what_the_model_says(self) -> None:
        self._model.hold()
        for trader in self._traders:
            found = self._run(trader.get(WALLETS)).json()
            wallets = {each["asset"]: each for each in found}
            for asset in ("BTC", "USDT"):
                available, locked = self._model.wallet(trader.who.user_id, asset)
                assert atoms(wallets[asset]["available"]) == available
                assert atoms(wallets[asset]["locked"]) == locked
        book = self._run(self._house.client.get(f"{MARKETS}/BTCUSDT/book")).json()
        bids, asks = ([_level(each) for each in book[side]] for side in ("bids", "asks"))
        assert (bids, asks) == (self._model.depth(Side.BUY), self._model.depth(Side.SELL))
        assert not bids or not asks or bids[0] < asks[0]

    def teardown(self) -> None:
        # The next example finds an empty book.
        for number in range(len(self._traders)):
            self.cancel_all(number)

    def _placed(self, number: int, asked: dict[str, Any], answer: dict[str, Any]) -> Any:
        named = {**asked, "client_order_id": answer.get("client_order_id")}
        return multiple(*self._told(number, named, answer))

    def _told(self, number: int, asked: dict[str, Any], answer: dict[str, Any]) -> list[int]:
        account = self._traders[number].who.user_id
        assert answer.get("code") == self._model.refusal(account, asked), answer
        if "id" not in answer:
            return []
        self._model.place(account, asked, answer["id"])
        self._sent.append((number, asked, answer["id"]))
        return [answer["id"]]

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)


def _level(level: dict[str, str]) -> tuple[int, int]:
    return ticks(level["price"]) or 0, lots(level["quantity"])


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture
def house(runner: asyncio.Runner, cluster_url: str, template_database: str) -> Iterator[House]:
    stack = AsyncExitStack()
    world = running_house(cluster_url, template_database, settings_for_tests())
    house = runner.run(stack.enter_async_context(world))
    runner.run(led(house.services.engines[SPOT_SHARD]))
    yield house
    runner.run(stack.aclose())


def play(house: House, runner: asyncio.Runner, examples: int, steps: int) -> None:
    model = Model()
    run_state_machine_as_test(
        lambda: Spot(house, runner, model),
        settings=settings(max_examples=examples, stateful_step_count=steps),
    )
    replayed = runner.run(replay(house.services.database, SPOT_SHARD))
    assert (replayed.difference, replayed.open_orders) == (None, 0)
    assert runner.run(house_accounts(house, "fees")) == model.fees
    paid_in = {asset: -amount for asset, amount in model.paid_in.items()}
    assert runner.run(house_accounts(house, "bank")) == paid_in


async def house_accounts(house: House, kind: str) -> dict[str, int]:
    async with house.services.database.snapshot() as session:
        found = await session.execute(
            text(
                "SELECT asset, balance FROM ledger_accounts WHERE kind = :kind"
                " AND venue_account_id IS NULL AND asset IN ('BTC', 'USDT')"
            ),
            {"kind": kind},
        )
        held = {row.asset: int(row.balance * ATOMS) for row in found}
    return {"BTC": 0, "USDT": 0, **held}


@pytest.mark.hypothesis
def test_whatever_traders_do_money_and_books_are_what_the_model_says(
    house: House, runner: asyncio.Runner
) -> None:
    play(house, runner, one_in(6), SHORT_STEPS)


@pytest.mark.slow
def test_whatever_traders_do_for_long_money_and_books_are_what_the_model_says(
    house: House, runner: asyncio.Runner
) -> None:
    play(house, runner, LONG_EXAMPLES, LONG_STEPS)
