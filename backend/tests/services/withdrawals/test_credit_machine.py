"""Merchants, a pool and everything that happens to them, against a model a child could write."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from backend.app.audit_record import SYSTEM
from backend.app.clock import utc_now
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import CreditLimitBelowUse, PoolShort, WithdrawalDecided
from backend.app.schemas.merchant_schemas import LimitChange, PoolChange, PoolCreate
from backend.tests.support import credit
from backend.tests.support.databases import copy_of
from backend.tests.support.examples import one_in
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.settlements import pay_out

MONEY = strategies.integers(1, 30_000).map(lambda cents: Decimal(cents) / 100)


class World:
    """One running house for all examples; each example has merchants and a pool of its own."""

    def __init__(self, runner: asyncio.Runner, services: Container, root: Person) -> None:
        self.run, self.services, self.root = runner.run, services, root
        self.administrator = credit.principal(root, Role.ADMIN)
        self.examples = 0


@pytest.fixture(scope="module")
def world(cluster_url: str, template_database: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        database = copy_of(cluster_url, template_database)
        url = runner.run(database.__aenter__())
        services = Container(settings_for_tests(), url, utc_now, FakeConnector())
        runner.run(services.open())
        root = runner.run(person(services, "root", Role.ADMIN))
        yield World(runner, services, root)
        runner.run(services.stop())
        runner.run(database.__aexit__(None, None, None))


class CreditMachine(RuleBasedStateMachine):
    """The model: what the pool holds, and of each merchant limit, drawn and whether he may."""

    world: World
    merchants = Bundle("merchants")
    withdrawals = Bundle("withdrawals")

    def __init__(self) -> None:
        super().__init__()
        self.world.examples += 1
        self.pool = f"pool{self.world.examples}"
        self.held = Decimal(0)
        self.limit: dict[int, Decimal] = {}
        self.drawn: dict[int, Decimal] = {}
        self.active: dict[int, bool] = {}
        self.open: dict[int, tuple[int, Decimal]] = {}
        self.ended: dict[int, str] = {}
        self.keys: list[tuple[Person, str, str, Any]] = []
        self.do(
            self.world.services.credit.pools.create(
                self.world.administrator, PoolCreate(name=self.pool)
            )
        )

    def do(self, work: Any) -> Any:
        return self.world.run(work)

    @rule(target=merchants, limit=MONEY)
    def approve(self, limit: Decimal) -> Person:
        name = f"m{self.world.examples}-{len(self.limit)}"
        somebody = self.do(
            credit.merchant(self.world.services, self.world.root, name, str(limit), self.pool)
        )
        self.limit[somebody.user_id], self.drawn[somebody.user_id] = limit, Decimal(0)
        self.active[somebody.user_id] = True
        return somebody

    @rule(amount=MONEY)
    def top_up(self, amount: Decimal) -> None:
        self.do(credit.fund(self.world.services, self.world.root, str(amount), self.pool))
        self.held += amount

    @rule(amount=MONEY)
    def draw_down(self, amount: Decimal) -> None:
        asked = PoolChange(amount=str(amount), pool=self.pool)
        pools = self.world.services.credit.pools
        try:
            self.do(pools.draw_down(self.world.administrator, asked, None))
            done = True
        except PoolShort:
            done = False
        assert done == (amount <= self.held)
        self.held -= amount if done else 0

    @rule(
        target=withdrawals,
        asked=strategies.lists(strategies.tuples(merchants, MONEY), min_size=1, max_size=6),
    )
    def withdraw_together(self, asked: list[tuple[Person, Decimal]]) -> Any:
        async def together() -> Any:
            return await asyncio.gather(
                *(
                    credit.withdraw(self.world.services, who, str(amount), key)
                    for (who, amount), key in zip(asked, keys, strict=True)
                )
            )

        keys = [credit.new_key() for _ in asked]
        answers = self.do(together())
        made = []
        for (who, amount), key, answer in zip(asked, keys, answers, strict=True):
            body = json.loads(answer.body)
            assert body.get("code", "booked") == self.expected(who.user_id, amount)
            self.keys.append((who, key, str(amount), answer))
            if answer.status == 201:
                self.held -= amount
                self.drawn[who.user_id] += amount
                self.open[body["id"]] = (who.user_id, amount)
                made.append(body["id"])
        return multiple(*made)

    def expected(self, user_id: int, amount: Decimal) -> str:
        if not self.active[user_id]:
            return "merchant-not-active"
        if amount > self.limit[user_id] - self.drawn[user_id]:
            return "credit-exceeded"
        return "pool-short" if amount > self.held else "booked"

    @rule(data=strategies.data())
    def ask_again(self, data: strategies.DataObject) -> None:
        if not self.keys:
            return
        who, key, amount, first = data.draw(strategies.sampled_from(self.keys))
        again = self.do(credit.withdraw(self.world.services, who, amount, key))
        assert (again.status, again.body, again.is_replayed) == (first.status, first.body, True)

    @rule(withdrawal=withdrawals, end=strategies.sampled_from(["settled", "failed"]))
    def settle(self, withdrawal: int, end: str) -> None:
        services = self.world.services
        ended = self.ended.get(withdrawal)
        if end == "settled":
            paid = self.do(pay_out(services.database, services.clock, withdrawal))
            assert paid == (ended is None)
        else:
            try:
                self.do(services.credit.settling.give_back(withdrawal, "account_closed", SYSTEM))
            except WithdrawalDecided:
                assert ended == "settled"
                return
            assert ended != "settled"
        if ended is None:
            self.ended[withdrawal] = end
            user_id, amount = self.open.pop(withdrawal)
            if end == "failed":
                self.held += amount
                self.drawn[user_id] -= amount

    @rule(who=merchants, limit=MONEY)
    def change_limit(self, who: Person, limit: Decimal) -> None:
        change = self.world.services.credit.merchants.change_limit(
            self.world.administrator, who.user_id, LimitChange(credit_limit=str(limit))
        )
        try:
            self.do(change)
        except CreditLimitBelowUse:
            assert limit < self.drawn[who.user_id]
            return
        assert limit >= self.drawn[who.user_id]
        self.limit[who.user_id] = limit

    @rule(who=merchants, active=strategies.booleans())
    def suspend_or_resume(self, who: Person, active: bool) -> None:
        merchants = self.world.services.credit.merchants
        act = merchants.resume if active else merchants.suspend
        shown = self.do(act(self.world.administrator, who.user_id))
        assert shown.state == ("active" if active else "suspended")
        self.active[who.user_id] = active

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        services, root = self.world.services, self.world.root
        assert self.do(credit.available(services, root, self.pool)) == self.held >= 0
        for user_id, drawn in self.drawn.items():
            shown = self.do(services.credit.merchants.get(self.world.administrator, user_id))
            assert (shown.utilised, shown.credit_limit) == (drawn, self.limit[user_id])
            assert drawn >= 0
            assert shown.available == self.limit[user_id] - drawn >= 0

    def teardown(self) -> None:
        self.do(credit.assert_proved(self.world.services))


@pytest.mark.hypothesis
def test_money_is_never_lost_doubled_or_overdrawn(world: World) -> None:
    machine = type("Machine", (CreditMachine,), {"world": world})

    run_state_machine_as_test(
        machine, settings=settings(max_examples=one_in(5), stateful_step_count=20, deadline=None)
    )
