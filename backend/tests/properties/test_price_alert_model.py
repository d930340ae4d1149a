"""Price alerts against a plain model: whatever prices do and however late they are evaluated."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import AlertCondition
from backend.app.errors import PriceAlertAlreadyTrue
from backend.app.schemas.price_alert_schemas import PriceAlertCreate
from backend.app.services.price_alert_watch import PriceAlertWatch
from backend.tests.conftest import HandClock
from backend.tests.support.examples import one_in
from backend.tests.support.people import Person, person
from backend.tests.support.price_alerts import SYMBOL, alert_house, change
from backend.tests.support.webhooks import principal_of

# Few values, so that prices meet thresholds, cross them and come back.
PRICES = st.integers(90, 110).map(str)
ALERTS = st.fixed_dictionaries(
    {
        "condition": st.sampled_from(["above", "below", "percent"]),
        "threshold": st.integers(1, 20),
        "repeats": st.booleans(),
        "pause_minutes": st.sampled_from([1, 3]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("price"), PRICES),
        st.tuples(st.just("alert"), ALERTS),
        st.tuples(st.just("evaluate"), st.integers(1, 2)),
    ),
    min_size=4,
    max_size=14,
)


@dataclass
class Waiting:
    """One alert as the model knows it."""

    condition: str
    threshold: Decimal
    repeats: bool
    pause: timedelta
    reference: Decimal
    is_armed: bool = True
    is_active: bool = True
    silent_until: datetime | None = None
    fired: list[str] = field(default_factory=list)

    def is_true(self, price: Decimal) -> bool:
        if self.condition == "above":
            return price >= self.threshold
        if self.condition == "below":
            return price <= self.threshold
        return abs(price - self.reference) * 100 >= self.threshold * self.reference

    def hear(self, price: Decimal, at: datetime) -> None:
        if not self.is_active:
            return
        if not self.is_armed:
            self.is_armed = not self.is_true(price)
        elif self.is_true(price) and (self.silent_until is None or self.silent_until <= at):
            self.fired.append(str(price))
            self.silent_until, self.is_active = at + self.pause, self.repeats
            self.is_armed = self.repeats and self.condition == "percent"
            if self.is_armed:
                self.reference = price


class Story:
    """The house and the model, told the same."""

    def __init__(self, services: Container, owner: Person, clock: HandClock) -> None:
        self._services, self._owner, self._clock = services, owner, clock
        self._price = Decimal(100)
        self.waiting: dict[int, Waiting] = {}

    async def price(self, told: str) -> None:
        self._clock.advance(minutes=1)
        at = self._clock()
        if Decimal(told) == self._price:
            return
        self._price = Decimal(told)
        async with self._services.database.transaction() as session:
            await session.execute(
                text("UPDATE latest_prices SET price = :price WHERE symbol = :symbol"),
                {"price": self._price, "symbol": SYMBOL},
            )
        await change(self._services, told, at)
        for each in self.waiting.values():
            each.hear(self._price, at)

    async def alert(self, wanted: dict[str, Any]) -> None:
        percent = wanted["condition"] == "percent"
        threshold = wanted["threshold"] + (0 if percent else 90)
        asked = PriceAlertCreate(symbol=SYMBOL, **{**wanted, "threshold": str(threshold)})
        model = Waiting(
            asked.condition,
            Decimal(threshold),
            asked.repeats,
            timedelta(minutes=asked.pause_minutes),
            self._price,
        )
        try:
            made = await self._services.notices.alerts.create(principal_of(self._owner), asked)
        except PriceAlertAlreadyTrue:
            assert model.is_true(self._price)
            return
        assert asked.condition is AlertCondition.PERCENT or not model.is_true(self._price)
        self.waiting[made.id] = model

    async def evaluate(self, racers: int) -> None:
        async def run() -> None:
            steps = PriceAlertWatch(self._services.database, self._clock, batch_max=2)
            while await steps.hold_next():
                pass

        await asyncio.gather(*(run() for _ in range(racers)))

    async def fired(self) -> dict[int, list[str]]:
        async with self._services.database.snapshot() as session:
            found = await session.execute(text("SELECT facts FROM notification_events ORDER BY id"))
            fired: dict[int, list[str]] = {alert: [] for alert in self.waiting}
            for row in found:
                fired[row.facts["alert_id"]].append(row.facts["price"])
            return fired


async def _forget(services: Container) -> None:
    async with services.database.transaction() as session:
        for table in ("price_news", "price_alerts", "notification_events"):
            await session.execute(text(f"DELETE FROM {table}"))
        await session.execute(text("UPDATE latest_prices SET price = 100"))


@pytest.mark.hypothesis
def test_whatever_prices_do_each_crossing_is_told_once(
    settings: Settings, database_url: str, clock: HandClock
) -> None:
    # One loop and one house for all examples: only what they did is forgotten between them.
    with asyncio.Runner() as runner:
        building = alert_house(settings, database_url, clock, BTC_USDT="100", ETH_USDT="100")
        house = runner.run(building.__aenter__())
        owner = runner.run(person(house.services, "alice"))

        @hypothesis_settings(max_examples=one_in(2))
        @given(STEPS)
        def stories(steps: list[tuple[str, Any]]) -> None:
            runner.run(tell(steps))

        async def tell(steps: list[tuple[str, Any]]) -> None:
            await _forget(house.services)
            story = Story(house.services, owner, clock)
            for what, how in [*steps, ("evaluate", 1)]:
                await getattr(story, what)(how)
            expected = {alert: each.fired for alert, each in story.waiting.items()}
            assert await story.fired() == expected

        try:
            stories()
        finally:
            runner.run(building.__aexit__(None, None, None))
