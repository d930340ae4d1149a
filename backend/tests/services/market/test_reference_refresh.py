"""Assets, symbols and what exchanges say of them, as they come from the exchanges' lists."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from backend.app.errors import AssetUnknown, BadRequest, SymbolUnknown
from backend.app.exchanges.market_data import MarketFault
from backend.app.schemas.market_schemas import SymbolFilter
from backend.app.services.market.reference_refresh import DOCUMENT_BYTES_MAX
from backend.app.services.market.reference_service import ReferenceService
from backend.tests.conftest import HandClock
from backend.tests.support.fake_markets import listing
from backend.tests.support.price_house import PriceHouse, price_house


@pytest.fixture
async def house(database_url: str, clock: HandClock) -> AsyncIterator[PriceHouse]:
    async with price_house(
        database_url,
        clock,
        symbols=["BTCUSDT", "ETH-BTC", "XRPUSDT"],
        price_fallback_exchange="okx",
    ) as house:
        house.markets.lists["okx"] = [listing("BTC/USDT", tick_size=Decimal("0.1"))]
        yield house


@pytest.fixture
def reference(house: PriceHouse) -> ReferenceService:
    return house.services.market.reference


async def refresh(house: PriceHouse) -> bool:
    assert await house.refresher._lock.hold()
    return await house.refresher._reference.refresh(house.refresher._lock.confirm)


async def test_only_what_was_chosen_is_kept_as_each_exchange_lists_it(
    house: PriceHouse, reference: ReferenceService
) -> None:
    assert await refresh(house)

    page = await reference.symbols(SymbolFilter(), 10, None)
    assert [(each.symbol, each.exchange) for each in page.items] == [
        ("BTC/USDT", "binance"),
        ("BTC/USDT", "okx"),
        ("ETH/BTC", "binance"),
    ]
    first, second = await reference.symbol("btcusdt")
    assert first.model_dump()["tick_size"] == "0.01"
    assert second.model_dump()["tick_size"] == "0.1"
    assert first.is_active
    assets = await reference.assets(10, None)
    # BTC is the quote of ETH/BTC: 0.0001 steps at 0.01 ticks.
    assert [(each.code, each.base_precision) for each in assets.items] == [
        ("BTC", 6),
        ("ETH", 4),
        ("USDT", 6),
    ]


async def test_what_is_not_told_is_null_and_not_made_up(
    house: PriceHouse, reference: ReferenceService
) -> None:
    house.markets.lists["binance"] = [listing("BTC/USDT", tick_size=None, min_notional=None)]
    await refresh(house)

    told = (await reference.symbol("BTC/USDT"))[0].model_dump()

    assert (told["tick_size"], told["step_size"], told["min_notional"]) == (None, "0.0001", None)


async def test_a_document_is_written_anew_only_when_it_changed(
    house: PriceHouse, reference: ReferenceService, clock: HandClock
) -> None:
    await refresh(house)
    before = (await reference.documents("ETHBTC"))[0]
    clock.advance(hours=6)
    await refresh(house)
    same = (await reference.documents("ETHBTC"))[0]
    house.markets.lists["binance"] = [listing("ETH/BTC", raw={"status": "BREAK", "n": ["1.50"]})]
    clock.advance(hours=6)
    await refresh(house)
    changed = (await reference.documents("ETHBTC"))[0]

    assert (same.id, same.first_seen_at) == (before.id, before.first_seen_at)
    assert same.called_at == before.called_at.replace(hour=18)
    assert changed.id != same.id
    assert changed.first_seen_at == changed.called_at == clock()
    assert changed.exchange_info == {"status": "BREAK", "n": ["1.50"]}


async def test_what_an_exchange_no_longer_lists_is_kept_as_inactive(
    house: PriceHouse, reference: ReferenceService
) -> None:
    await refresh(house)
    house.markets.lists["binance"] = [listing("BTC/USDT", is_active=False)]
    await refresh(house)

    active = await reference.symbols(SymbolFilter(is_active=True), 10, None)
    gone = await reference.symbols(SymbolFilter(is_active=False, exchange="binance"), 10, None)

    assert [(each.symbol, each.exchange) for each in active.items] == [("BTC/USDT", "okx")]
    assert [each.symbol for each in gone.items] == ["BTC/USDT", "ETH/BTC"]


@pytest.mark.parametrize(
    "document",
    [
        {"note": "\x00"},
        {"note": "\ud800"},
        {"note": "x" * DOCUMENT_BYTES_MAX},
    ],
)
async def test_a_document_that_cannot_be_kept_keeps_nothing_else_out(
    house: PriceHouse, reference: ReferenceService, document: dict[str, str]
) -> None:
    house.markets.lists["binance"] = [
        listing("BTC/USDT", raw=document),
        listing("B\x00TC/USDT"),
        listing("ETH/BTC"),
    ]
    house.markets.lists["okx"] = []
    assert await refresh(house)

    page = await reference.symbols(SymbolFilter(), 10, None)
    assert [each.symbol for each in page.items] == ["BTC/USDT", "ETH/BTC"]
    assert await reference.documents("ETH/BTC")
    with pytest.raises(SymbolUnknown):
        await reference.documents("BTC/USDT")


async def test_a_source_that_is_away_changes_nothing_and_is_asked_again(
    house: PriceHouse, reference: ReferenceService
) -> None:
    await refresh(house)
    house.markets.away["binance"] = MarketFault.AWAY

    assert not await refresh(house)

    assert len((await reference.symbols(SymbolFilter(), 10, None)).items) == 3


async def test_pages_follow_each_other_without_gaps(
    house: PriceHouse, reference: ReferenceService
) -> None:
    await refresh(house)
    found, cursor = [], None
    for _ in range(3):
        page = await reference.symbols(SymbolFilter(), 1, cursor)
        found += [(each.symbol, each.exchange) for each in page.items]
        cursor = page.next_cursor
    codes = await reference.assets(2, None)
    rest = await reference.assets(2, codes.next_cursor)

    assert cursor is None
    assert found == [("BTC/USDT", "binance"), ("BTC/USDT", "okx"), ("ETH/BTC", "binance")]
    assert [each.code for each in [*codes.items, *rest.items]] == ["BTC", "ETH", "USDT"]
    assert (await reference.asset("eth")).base_precision == 4
    with pytest.raises(AssetUnknown):
        await reference.asset("NOPE")


@pytest.mark.parametrize(
    "cursor", ["x", "e30=", "WyJhIl0=", "WzEsIDJd", "\u00e9", "WyJcdTAwMDAiLCAiYSJd"]
)
async def test_a_cursor_that_is_none_of_ours_is_refused(
    reference: ReferenceService, cursor: str
) -> None:
    with pytest.raises(BadRequest):
        await reference.symbols(SymbolFilter(), 1, cursor)
