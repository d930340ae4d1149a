"""Candles are answered as they stand, page by page, and refused with the reason."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_interval import CandleInterval
from backend.app.database import Database
from backend.app.errors import CandleRangeRefused, ExchangeUnknown, SymbolUnknown
from backend.app.repositories.candle_repository import Series
from backend.app.schemas.candle_schemas import CandleDocument, CandlePage, CandleQuery
from backend.app.services.cache_service import CacheService
from backend.app.services.live.silent_announcer import SilentAnnouncer
from backend.app.services.market.candle_history import CandleHistory
from backend.app.services.market.candle_service import CandleService
from backend.app.services.market.symbol_names import SymbolNames
from backend.app.services.market.time_storage import TimeStorage
from backend.tests.conftest import HandClock
from backend.tests.support.told_candles import told_candle

MINUTE = timedelta(minutes=1)


class Ticking:
    """The monotonic clock of a cache, turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


@pytest.fixture
def candles(database: Database, clock: HandClock, ticking: Ticking) -> CandleService:
    cache = CacheService(None, ticking)
    names = SymbolNames(database, cache, 60)
    return CandleService(database=database, cache=cache, names=names, exchange="binance", now=clock)


async def nothing(_session: AsyncSession) -> None:
    """Let it be written."""


@pytest.fixture
def history(database: Database, storage: TimeStorage, clock: HandClock) -> CandleHistory:
    return CandleHistory(database, storage, SilentAnnouncer(), clock)


@pytest.fixture
async def ten_minutes(history: CandleHistory, clock: HandClock) -> datetime:
    """Ten candles, the last of which opens now; returns when the first opens."""
    first = clock() - 9 * MINUTE
    series = Series("binance", "BTC/USDT", CandleInterval.M1)
    await history.keep(series, [told_candle(first + n * MINUTE) for n in range(10)], nothing)
    return first


def asked(**members: Any) -> CandleQuery:
    return CandleQuery(**{"symbol": "BTC/USDT", "interval": "1m", **members})


async def page(candles: CandleService, **members: Any) -> CandlePage:
    return CandlePage.model_validate_json(await candles.page(asked(**members)))


def minutes_after(first: datetime, found: CandlePage) -> list[int]:
    return [(candle.open_time - first) // MINUTE for candle in found.items]


async def test_numbers_are_plain_strings_and_what_is_not_told_is_null(
    candles: CandleService, database: Database, ten_minutes: datetime
) -> None:
    async with database.transaction() as session:
        await session.execute(
            text(
                "UPDATE candles SET quote_volume = NULL, trades = NULL, open = 0.00000001,"
                " low = 0.00000001, high = 1e15"
            )
        )

    body = json.loads(await candles.page(asked(limit=1)))

    assert body == {
        "items": [
            {
                "open_time": "2026-11-21T12:00:00Z",
                "open": "0.00000001",
                "high": "1000000000000000",
                "low": "0.00000001",
                "close": "100",
                "volume": "1.5",
                "quote_volume": None,
                "trades": None,
            }
        ],
        "next_cursor": "2026-11-21T12:00:00Z",
    }


async def test_pages_go_from_the_latest_to_the_first_and_miss_nothing(
    candles: CandleService, ten_minutes: datetime
) -> None:
    pages, cursor = [], None
    while cursor or not pages:
        found = await page(candles, limit=4, **({"cursor": cursor} if cursor else {}))
        pages.append(minutes_after(ten_minutes, found))
        cursor = found.next_cursor

    assert pages == [[6, 7, 8, 9], [2, 3, 4, 5], [0, 1]]


async def test_a_full_page_that_is_the_last_says_so(
    candles: CandleService, ten_minutes: datetime
) -> None:
    assert (await page(candles, limit=10)).next_cursor is None


async def test_a_span_begins_with_from_and_ends_before_to(
    candles: CandleService, ten_minutes: datetime
) -> None:
    span = {"from": ten_minutes + 2 * MINUTE, "to": ten_minutes + 5 * MINUTE}

    assert minutes_after(ten_minutes, await page(candles, **span)) == [2, 3, 4]


async def test_the_zone_of_a_span_is_believed(
    candles: CandleService, ten_minutes: datetime
) -> None:
    found = await page(candles, **{"from": "2026-11-21T13:58:00+02:00"})

    assert [candle.open_time.minute for candle in found.items] == [58, 59, 0]


async def test_a_document_says_what_its_data_are_of(
    candles: CandleService, ten_minutes: datetime
) -> None:
    body = await candles.document(asked(limit=2))
    document = CandleDocument.model_validate_json(body)

    assert json.loads(body)["metadata"] == {
        "exchange": "binance",
        "symbol": "BTC/USDT",
        "interval": "1m",
        "asset_class": "spot",
    }
    assert [candle.number_of_trades for candle in document.data] == [3, 3]
    assert [candle.quote_asset_volume for candle in document.data] == ["150", "150"]


@pytest.mark.parametrize("name", ["BTC/USDT", "btcusdt", "BTC-USDT", "btc_usdt"])
async def test_a_symbol_is_found_as_people_type_it(
    candles: CandleService, ten_minutes: datetime, name: str
) -> None:
    assert len((await page(candles, symbol=name)).items) == 10


async def test_an_unknown_symbol_is_told_with_what_looks_like_it(
    candles: CandleService, ten_minutes: datetime
) -> None:
    with pytest.raises(SymbolUnknown) as refusal:
        await candles.page(asked(symbol="BTCUSD"))

    assert refusal.value.facts == {"near": ["BTC/USDT"]}


async def test_an_exchange_has_candles_of_its_own(
    candles: CandleService, ten_minutes: datetime
) -> None:
    with pytest.raises(SymbolUnknown):
        await candles.page(asked(exchange="okx"))
    with pytest.raises(SymbolUnknown):
        await candles.page(asked(exchange="strongroom"))
    with pytest.raises(ExchangeUnknown):
        await candles.page(asked(exchange="nosuch"))
    assert len((await page(candles, exchange="Binance")).items) == 10


@pytest.mark.parametrize(
    "span",
    [
        {"from": "2026-11-21T12:00:00Z", "to": "2026-11-21T12:00:00Z"},
        {"from": "2026-11-21T12:00:01Z", "to": "2026-11-21T12:00:00Z"},
        {"from": "2016-11-01T00:00:00Z"},
        {"from": "2030-01-01T00:00:00Z"},
        {"from": "0001-01-01T00:00:00+14:00", "to": "9999-12-31T23:59:59-12:00"},
    ],
)
async def test_a_span_that_cannot_be_is_refused(
    candles: CandleService, ten_minutes: datetime, span: dict[str, str]
) -> None:
    with pytest.raises(CandleRangeRefused):
        await candles.page(asked(**span))


@pytest.mark.parametrize(
    "span",
    [
        {"to": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31T23:59:59-12:00", "cursor": "0001-01-01T00:00:00+14:00"},
        {"cursor": "9999-12-31T23:59:59-12:00"},
    ],
)
async def test_the_ends_of_time_are_no_defect(
    candles: CandleService, ten_minutes: datetime, span: dict[str, str]
) -> None:
    assert len((await page(candles, **span)).items) in {0, 10}


async def test_what_is_over_is_remembered_for_a_while_and_what_grows_for_a_second(
    candles: CandleService,
    history: CandleHistory,
    ticking: Ticking,
    ten_minutes: datetime,
) -> None:
    over = {"from": ten_minutes, "to": ten_minutes + MINUTE}
    series = Series("binance", "BTC/USDT", CandleInterval.M1)
    await page(candles, **over)
    await page(candles, limit=1)
    for at in (ten_minutes, ten_minutes + 9 * MINUTE):
        await history.keep(series, [told_candle(at, "123")], nothing)

    assert (await page(candles, **over)).items[0].close != "123"
    ticking.seconds += 1.5
    assert (await page(candles, limit=1)).items[0].close == "123"
    assert (await page(candles, **over)).items[0].close != "123"
    ticking.seconds += 30
    assert (await page(candles, **over)).items[0].close == "123"


async def test_a_day_of_minutes_is_one_page(
    candles: CandleService, history: CandleHistory, clock: HandClock
) -> None:
    first = datetime(2026, 11, 20, tzinfo=UTC)
    series = Series("binance", "BTC/USDT", CandleInterval.M1)
    await history.keep(series, [told_candle(first + n * MINUTE) for n in range(1440)], nothing)

    found = await page(candles, limit=1440, **{"from": first, "to": first + timedelta(days=1)})

    assert minutes_after(first, found) == list(range(1440))
    assert found.next_cursor is None
