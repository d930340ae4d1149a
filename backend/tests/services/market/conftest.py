"""A builder of candles on a database of the test's own."""

import pytest

from backend.app.database import Database
from backend.app.services.live.silent_announcer import SilentAnnouncer
from backend.app.services.market.candle_builder import CandleBuilder
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.time_storage import TimeStorage
from backend.tests.conftest import HandClock


@pytest.fixture
def storage(database: Database, clock: HandClock) -> TimeStorage:
    return TimeStorage(database, Retention(ticks_days=7, fine_days=400, coarse_days=None), clock)


@pytest.fixture
def builder(database: Database, storage: TimeStorage, clock: HandClock) -> CandleBuilder:
    return CandleBuilder(database, storage, SilentAnnouncer(), clock)
