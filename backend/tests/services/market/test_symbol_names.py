"""People type symbols in many ways; which one they mean stands in a table."""

import pytest

from backend.app.container import Container
from backend.app.errors import MarketDataUnavailable, SymbolUnknown
from backend.app.repositories.market_reference_repository import MarketReferenceRepository
from backend.app.services.market.symbol_names import NameBook

SYMBOLS = ("BTC/USDT", "ETH/BTC", "ETH/USDT", "1000SATS/USDT")


@pytest.mark.parametrize(
    "name",
    ["BTC/USDT", "btc/usdt", "BTCUSDT", "btcusdt", "BTC-USDT", "btc_usdt", " BTC:USDT "],
)
def test_a_symbol_is_found_by_every_spelling(name: str) -> None:
    assert NameBook(SYMBOLS).find(name) == "BTC/USDT"


@pytest.mark.parametrize("name", ["", "/", "BTC", "BTC/USD", "BTCUSD", "B/TCUSDT", "BTC//USDT"])
def test_what_is_not_in_the_book_is_not_guessed(name: str) -> None:
    assert NameBook(SYMBOLS).find(name) is None


def test_a_name_that_could_mean_two_symbols_means_neither() -> None:
    book = NameBook(["ABC/USD", "AB/CUSD", "BTC/USDT"])

    assert book.find("ABCUSD") is None
    assert book.find("ab-cusd") == "AB/CUSD"


def test_near_matches_come_nearest_first_and_bounded() -> None:
    book = NameBook([*SYMBOLS, *(f"BTC/US{letter}T" for letter in "ABCEFGH")])

    near = book.near("btc-usdtt")

    assert near[0] == "BTC/USDT"
    assert len(near) == 5
    assert book.near("x" * 10_000) == []


async def _keep(services: Container, *symbols: str) -> None:
    async with services.database.transaction() as session:
        repository = MarketReferenceRepository(session)
        codes = sorted({code for symbol in symbols for code in symbol.split("/")})
        await repository.keep_assets(
            [{"code": code, "name": code, "base_precision": 8} for code in codes]
        )
        await repository.keep_symbols(
            [
                {
                    "exchange": "binance",
                    "symbol": symbol,
                    "compact": symbol.replace("/", ""),
                    "base_asset": symbol.split("/")[0],
                    "quote_asset": symbol.split("/")[1],
                    "tick_size": 1,
                    "step_size": 1,
                    "min_notional": 0,
                    "is_active": True,
                }
                for symbol in symbols
            ]
        )


async def test_names_are_looked_up_in_the_table(services: Container) -> None:
    names = services.market.names
    with pytest.raises(MarketDataUnavailable):
        await names.resolve("BTCUSDT")

    await _keep(services, "BTC/USDT", "ETH/USDT")
    await names.forget()

    assert await names.resolve("btc-usdt") == "BTC/USDT"
    with pytest.raises(SymbolUnknown) as refused:
        await names.resolve("BTCUSD")
    assert refused.value.facts == {"near": ["BTC/USDT", "ETH/USDT"]}
