"""Public market data from an exchange that is away, slow or wrong, and what is asked of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from backend.app.enums import Environment
from backend.app.errors import ConfigurationError, ExchangeUnknown
from backend.app.exchanges.ccxt_profiles import CCXT_PROFILES
from backend.app.exchanges.ccxt_public import CcxtPublic
from backend.app.exchanges.market_candles import CANDLES
from backend.app.exchanges.market_data import (
    BadQuote,
    BadQuoteReason,
    IntervalNotOffered,
    MarketFault,
    MarketSourceUnavailable,
    Quote,
)
from backend.app.exchanges.market_listings import KEPT_SECONDS, TRIED_AGAIN_SECONDS
from backend.app.exchanges.market_source import (
    CANDLES_MAX,
    SYMBOLS_MAX,
    MarketSource,
    MarketSourceSettings,
    addresses,
)
from backend.app.exchanges.market_tickers import TICKERS
from backend.app.exchanges.outbound import (
    Outbound,
    OutboundAnswer,
    OutboundLimits,
    OutboundRequest,
)
from backend.app.exchanges.registry import SUPPORTED
from backend.tests.support.hostile_exchange import Received, record_only, reply, serving

_NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
_NOW_MS = 1_795_262_400_000
_MINUTE_MS = 60_000
# A busy machine takes its time; who waits in vain here has a bound of its own.
_LIMITS = OutboundLimits(
    connect_seconds=20.0, read_seconds=20.0, total_seconds=40.0, body_bytes_max=256 * 1024
)
_SECRET_TEXT = "a word of theirs"


def _market(name: str, base: str, status: str = "TRADING") -> dict[str, Any]:
    return {
        "symbol": name,
        "status": status,
        "baseAsset": base,
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT"],
        "isSpotTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01", "minPrice": "0.01"},
            {"filterType": "LOT_SIZE", "stepSize": "0.0001", "minQty": "0.0001", "maxQty": "90"},
        ],
    }


_MARKETS = {"symbols": [_market("BTCUSDT", "BTC"), _market("ETHUSDT", "ETH", status="BREAK")]}


def _ticker(name: str, last: str) -> str:
    """Return a row of Binance's tickers; `last` is JSON as it stands."""
    return (
        f'{{"symbol":"{name}","lastPrice":{last},"openPrice":"60000.00","priceChange":"5.00",'
        f'"closeTime":{_NOW_MS - 500}}}'
    )


def _kline(at_ms: int, low: str = "8", high: str = "12", close: str = "11") -> list[Any]:
    return [at_ms, "10", high, low, close, "3.5", at_ms + 59_999, "38.5", 7, "1", "11", "0"]


@dataclass
class StandIn:
    """A small Binance that says what it is told to, by the last part of the path."""

    said: dict[str, bytes] = field(
        default_factory=lambda: {
            "exchangeInfo": reply(json.dumps(_MARKETS).encode()),
            "24hr": reply(b"[" + _ticker("BTCUSDT", '"64000.10"').encode() + b"]"),
        }
    )
    received: Received | None = None
    origin: str = ""

    def asked_for(self, what: str) -> int:
        assert self.received is not None
        return sum(_last_part(head) == what for head in self.received.requests)

    def tickers(self, *rows: str) -> None:
        self.said["24hr"] = reply(f"[{','.join(rows)}]".encode())

    def klines(self, rows: Sequence[Any]) -> None:
        self.said["klines"] = reply(json.dumps(rows).encode())

    async def answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(self.said[_last_part(head)])
        await writer.drain()


def _last_part(head: bytes) -> str:
    return head.split(b" ")[1].partition(b"?")[0].rpartition(b"/")[2].decode()


@asynccontextmanager
async def _standing_in(
    stand_in: StandIn,
    monotonic: Callable[[], float] = lambda: 0.0,
    question_seconds: float = 40.0,
) -> AsyncIterator[MarketSource]:
    async with serving(stand_in.answer) as (origin, received):
        stand_in.received, stand_in.origin = received, origin
        settings = MarketSourceSettings(
            Environment.SANDBOX,
            "http://127.0.0.1:1",
            base_urls={"binance": f"{origin}/elsewhere/"},
            limits=_LIMITS,
            question_seconds=question_seconds,
        )
        source = MarketSource(settings, lambda: _NOW, monotonic)
        try:
            yield source
        finally:
            await source.close()


async def _fault(asked: Any) -> MarketFault:
    with pytest.raises(MarketSourceUnavailable) as silence:
        await asked
    assert silence.value.exchange == "binance"
    assert _SECRET_TEXT not in f"{silence.value!r} {silence.value}"
    assert silence.value.__cause__ is None
    return silence.value.fault


async def test_a_base_url_moves_an_exchange_with_its_path_and_no_key_is_sent() -> None:
    stand_in = StandIn()
    async with _standing_in(stand_in) as source:
        quotes = await source.quotes("Binance", ["BTC/USDT"])

    as_of = _NOW - timedelta(milliseconds=500)
    assert quotes == {"BTC/USDT": Quote("BTC/USDT", Decimal("64000.10"), as_of)}
    assert stand_in.received is not None
    listed, told = stand_in.received.requests
    assert listed.startswith(b"GET /elsewhere/api/v3/exchangeInfo?showPermissionSets=false HTTP")
    assert told.startswith(b"GET /elsewhere/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22%5D HTTP")
    assert b"apikey" not in (listed + told).lower()


async def test_a_price_of_more_digits_than_a_float_holds_arrives_exact() -> None:
    stand_in = StandIn()
    stand_in.tickers(_ticker("BTCUSDT", "64000.123456789012345678901234567890"))
    async with _standing_in(stand_in) as source:
        quote = (await source.quotes("binance", ["BTC/USDT"]))["BTC/USDT"]

    assert isinstance(quote, Quote)
    assert str(quote.price) == "64000.123456789012345678901234567890"


async def test_a_candle_of_more_digits_than_a_float_holds_arrives_exact() -> None:
    stand_in, start = StandIn(), _NOW - timedelta(minutes=1)
    prices = "0.1,0.1000000000000000055511151231257827,0.1,1e-1,12345678901234567.00000001"
    row = f'[{_NOW_MS - _MINUTE_MS},{prices},{_NOW_MS},0.30000000000000004,7,"1","1","0"]'
    stand_in.said["klines"] = reply(f"[{row}]".encode())
    async with _standing_in(stand_in) as source:
        (candle,) = await source.candles("binance", "BTC/USDT", "1m", start, 1)

    assert (str(candle.low), str(candle.close)) == ("0.1", "0.1")
    assert str(candle.high) == "0.1000000000000000055511151231257827"
    assert str(candle.volume) == "12345678901234567.00000001"
    assert str(candle.quote_volume) == "0.30000000000000004"
    assert candle.trades == 7


@pytest.mark.parametrize(
    "last",
    [
        "0",
        '"0.00000000"',
        "-1.5",
        '"-64000"',
        "NaN",
        '"NaN"',
        "Infinity",
        '"-Infinity"',
        '"sold out"',
        '""',
        "null",
        "true",
        "[]",
        '{"price":"1"}',
        '"1_000"',
        '"1e999"',
        '"1e-999"',
        '"١٢٣"',
        f'"{"9" * 100}"',
        "9" * 100,
    ],
)
async def test_nonsense_is_told_as_such_and_leaves_the_other_rows_alone(last: str) -> None:
    stand_in = StandIn()
    stand_in.tickers(_ticker("BTCUSDT", last), _ticker("ETHUSDT", '"3200"'))
    async with _standing_in(stand_in) as source:
        quotes = await source.quotes("binance", ["BTC/USDT", "ETH/USDT"])

    # CCXT would have worked a price out from the opening price and the change.
    assert quotes["BTC/USDT"] == BadQuote("BTC/USDT", BadQuoteReason.NOT_A_PRICE)
    assert quotes["ETH/USDT"] == replace(quotes["ETH/USDT"], price=Decimal(3200))


async def test_a_tenfold_price_is_told_as_it_is_for_the_caller_to_judge() -> None:
    stand_in = StandIn()
    stand_in.tickers(_ticker("BTCUSDT", '"640001.00"'))
    async with _standing_in(stand_in) as source:
        quote = (await source.quotes("binance", ["BTC/USDT"]))["BTC/USDT"]

    assert isinstance(quote, Quote)
    assert quote.price == Decimal("640001.00")


async def test_a_missing_row_an_unlisted_symbol_and_a_price_are_told_apart() -> None:
    stand_in = StandIn()
    async with _standing_in(stand_in) as source:
        quotes = await source.quotes("binance", ["BTC/USDT", "ETH/USDT", "NO/PE", "btc/usdt"])

    assert isinstance(quotes["BTC/USDT"], Quote)
    assert quotes["ETH/USDT"] == BadQuote("ETH/USDT", BadQuoteReason.MISSING)
    assert quotes["NO/PE"] == BadQuote("NO/PE", BadQuoteReason.NOT_LISTED)
    assert quotes["btc/usdt"] == BadQuote("btc/usdt", BadQuoteReason.NOT_LISTED)


async def test_nothing_is_asked_where_nothing_can_be_told() -> None:
    stand_in = StandIn()
    async with _standing_in(stand_in) as source:
        assert await source.quotes("binance", []) == {}
        await source.quotes("binance", ["NO/PE"])

    assert stand_in.asked_for("24hr") == 0


@pytest.mark.parametrize(
    ("told", "as_of"),
    [
        (_NOW_MS - 90_000, _NOW - timedelta(seconds=90)),
        (_NOW_MS + 90_000, _NOW),
        (0, _NOW),
        (-5, _NOW),
        ("soon", _NOW),
        (10**30, _NOW),
        (None, _NOW),
    ],
)
async def test_a_price_is_never_newer_than_the_answer_that_told_it(
    told: Any, as_of: datetime
) -> None:
    stand_in = StandIn()
    row = {"symbol": "BTCUSDT", "lastPrice": "64000", "closeTime": told}
    stand_in.tickers(json.dumps(row))
    async with _standing_in(stand_in) as source:
        quote = (await source.quotes("binance", ["BTC/USDT"]))["BTC/USDT"]

    assert isinstance(quote, Quote)
    assert quote.as_of == as_of


_PAGE = f"<!doctype html><title>{_SECRET_TEXT}</title>".encode()


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (reply(_PAGE, "Content-Type: text/html"), MarketFault.NONSENSE),
        (reply(b""), MarketFault.NONSENSE),
        (reply(b"null"), MarketFault.NONSENSE),
        (reply(b"{}"), MarketFault.NONSENSE),
        (reply(b'"' + _SECRET_TEXT.encode() + b'"'), MarketFault.NONSENSE),
        (reply(b"[" * 100_000), MarketFault.NONSENSE),
        (reply(bytes(range(256))), MarketFault.NONSENSE),
        (reply(b" " * 300_000), MarketFault.NONSENSE),
        (reply(b"", "Location: /api", status="302 Found"), MarketFault.NONSENSE),
        (reply(_PAGE, "Content-Encoding: br"), MarketFault.NONSENSE),
        (reply(b'{"code":-1003,"msg":"too much"}', status="429 No"), MarketFault.THROTTLED),
        (reply(b"", status="418 I'm a teapot"), MarketFault.THROTTLED),
        (reply(b'{"code":-1003,"msg":"too much"}'), MarketFault.THROTTLED),
        (reply(_PAGE, status="503 Away"), MarketFault.AWAY),
        (reply(_PAGE, status="502 Bad Gateway"), MarketFault.AWAY),
        (reply(b"", status="451 Not Here"), MarketFault.REFUSED),
        (
            reply(b'{"code":-1121,"msg":"a word of theirs"}', status="400 Bad"),
            MarketFault.REFUSED,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", MarketFault.AWAY),
        (b"", MarketFault.AWAY),
    ],
)
@pytest.mark.parametrize("what", ["exchangeInfo", "24hr", "klines"])
async def test_an_answer_that_is_none_says_what_was_wrong_in_our_words(
    what: str, said: bytes, fault: MarketFault
) -> None:
    stand_in = StandIn()
    stand_in.said[what] = said
    async with _standing_in(stand_in) as source:
        start = _NOW - timedelta(minutes=5)
        asked = {
            "exchangeInfo": lambda: source.markets("binance"),
            "24hr": lambda: source.quotes("binance", ["BTC/USDT"]),
            "klines": lambda: source.candles("binance", "BTC/USDT", "1m", start, 5),
        }[what]

        assert await _fault(asked()) is fault


async def test_an_exchange_nobody_reaches_is_away() -> None:
    settings = MarketSourceSettings(
        Environment.SANDBOX, "http://127.0.0.1:1", limits=_LIMITS, question_seconds=40.0
    )
    source = MarketSource(settings)

    assert await _fault(source.quotes("binance", ["BTC/USDT"])) is MarketFault.AWAY
    await source.close()


async def test_an_exchange_that_hangs_is_slow_and_takes_no_longer_than_a_question_may() -> None:
    async with serving(_hang) as (origin, _):
        settings = MarketSourceSettings(
            Environment.SANDBOX, "http://127.0.0.1:1", {"binance": origin}, _LIMITS, 0.1
        )
        source = MarketSource(settings)

        async with asyncio.timeout(_LIMITS.read_seconds):
            assert await _fault(source.markets("binance")) is MarketFault.SLOW
        await source.close()


async def _hang(_head: bytes, writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


async def test_markets_tell_what_is_halted_and_leave_out_what_is_no_market() -> None:
    stand_in = StandIn()
    odd = [_market("A/BUSDT", "A/B"), _market("C", "C" * 40), _market("\x1b[2J", "\x1b[2J")]
    markets = {"symbols": [*_MARKETS["symbols"], *odd]}
    stand_in.said["exchangeInfo"] = reply(json.dumps(markets).encode())
    async with _standing_in(stand_in) as source:
        listed = await source.markets("binance")

    assert [(market.symbol, market.is_active) for market in listed] == [
        ("BTC/USDT", True),
        ("ETH/USDT", False),
    ]
    assert listed[0].exchange_name == "BTCUSDT"
    assert (listed[0].tick_size, listed[0].step_size) == (Decimal("0.01"), Decimal("0.0001"))
    assert (listed[0].min_amount, listed[0].max_amount) == (Decimal("0.0001"), Decimal(90))
    assert listed[0].min_notional is None
    assert listed[0].raw == _MARKETS["symbols"][0]


async def test_many_who_ask_at_once_load_the_markets_once() -> None:
    stand_in = StandIn()
    async with _standing_in(stand_in) as source:
        await asyncio.gather(
            *(source.quotes("binance", ["BTC/USDT"]) for _ in range(5)),
            *(source.markets("binance") for _ in range(5)),
        )

    assert stand_in.asked_for("exchangeInfo") == 1
    assert stand_in.asked_for("24hr") == 5


async def test_whoever_stops_waiting_does_not_take_the_markets_from_the_others() -> None:
    stand_in = StandIn()
    async with _standing_in(stand_in) as source:
        impatient = asyncio.create_task(source.markets("binance"))
        patient = asyncio.create_task(source.markets("binance"))
        while stand_in.asked_for("exchangeInfo") == 0:
            await asyncio.sleep(0)
        impatient.cancel()

        assert len(await patient) == 2
        assert impatient.cancelled()
    assert stand_in.asked_for("exchangeInfo") == 1


async def test_markets_are_read_again_after_an_hour() -> None:
    stand_in, seconds = StandIn(), [0.0]
    async with _standing_in(stand_in, monotonic=lambda: seconds[0]) as source:
        await source.markets("binance")
        seconds[0] = KEPT_SECONDS - 1
        await source.markets("binance")
        asked_within = stand_in.asked_for("exchangeInfo")
        seconds[0] = KEPT_SECONDS
        await source.markets("binance")

    assert (asked_within, stand_in.asked_for("exchangeInfo")) == (1, 2)


async def test_prices_wait_neither_for_a_new_list_of_markets_nor_go_with_it() -> None:
    stand_in, seconds = StandIn(), [0.0]
    async with _standing_in(stand_in, monotonic=lambda: seconds[0]) as source:
        await source.markets("binance")
        stand_in.said["exchangeInfo"] = reply(b"", status="503 Away")
        for again in range(2):
            seconds[0] = KEPT_SECONDS + again * TRIED_AGAIN_SECONDS

            for _ in range(3):
                quotes = await source.quotes("binance", ["BTC/USDT"])
                assert isinstance(quotes["BTC/USDT"], Quote)

            async with asyncio.timeout(_LIMITS.read_seconds):
                while stand_in.asked_for("exchangeInfo") < 2 + again:
                    await asyncio.sleep(0)
        asked = stand_in.asked_for("exchangeInfo")

        # Who asks for the list itself is told that there is none as new as promised.
        assert await _fault(source.markets("binance")) is MarketFault.AWAY
    assert asked == 3


_START = _NOW - timedelta(minutes=5)
_START_MS = _NOW_MS - 5 * _MINUTE_MS
_FIVE = [_kline(_START_MS + number * _MINUTE_MS) for number in range(5)]


async def _opens(rows: Sequence[Any], limit: int = 5) -> list[int]:
    stand_in = StandIn()
    stand_in.klines(rows)
    async with _standing_in(stand_in) as source:
        candles = await source.candles("binance", "BTC/USDT", "1m", _START, limit)
    return [(candle.open_time - _START) // timedelta(minutes=1) for candle in candles]


async def test_candles_come_oldest_first_and_once_however_they_were_sent() -> None:
    assert await _opens(_FIVE[::-1]) == [0, 1, 2, 3, 4]
    assert await _opens([*_FIVE, _FIVE[2], _FIVE[0]]) == [0, 1, 2, 3, 4]


async def test_a_missing_candle_stays_missing() -> None:
    assert await _opens([_FIVE[0], _FIVE[3]]) == [0, 3]


async def test_candles_before_the_start_and_beyond_the_limit_are_left_out() -> None:
    around = [_kline(_START_MS - _MINUTE_MS), *_FIVE]

    assert await _opens(around, limit=3) == [0, 1, 2]


@pytest.mark.parametrize(
    "row",
    [
        _kline(_START_MS + 1),
        _kline(_START_MS + 30_000),
        _kline(-_MINUTE_MS),
        _kline(10**40),
        _kline(_START_MS, low="10.5"),
        _kline(_START_MS, high="10.9"),
        _kline(_START_MS, low="0"),
        _kline(_START_MS, low="-1"),
        _kline(_START_MS, high="NaN"),
        _kline(_START_MS, high="Infinity"),
        _kline(_START_MS, close=""),
        [*_kline(_START_MS)[:5], "-1", *_kline(_START_MS)[6:]],
        _kline(_START_MS)[:6],
        [],
        {},
        None,
        "10",
    ],
)
async def test_a_candle_that_cannot_be_spoils_the_answer(row: Any) -> None:
    stand_in = StandIn()
    stand_in.klines([*_FIVE[1:], row])
    async with _standing_in(stand_in) as source:
        asked = source.candles("binance", "BTC/USDT", "1m", _START, 5)

        assert await _fault(asked) is MarketFault.NONSENSE


async def test_two_candles_of_one_time_that_differ_spoil_the_answer() -> None:
    stand_in = StandIn()
    stand_in.klines([*_FIVE, _kline(_START_MS, close="9")])
    async with _standing_in(stand_in) as source:
        asked = source.candles("binance", "BTC/USDT", "1m", _START, 5)

        assert await _fault(asked) is MarketFault.NONSENSE


@pytest.mark.parametrize(("in_usdt", "told"), [("38.5", Decimal("38.5")), ("2000", None)])
def test_bitgets_quote_volume_is_told_only_where_its_place_does_not_matter(
    in_usdt: str, told: Decimal | None
) -> None:
    row = [str(_START_MS), "10", "12", "8", "11", "3.5", in_usdt, "38.5"]

    (candle,) = CANDLES["bitget"].read({"data": [row]}, timedelta(minutes=1)).values()

    assert candle.quote_volume == told
    assert candle.volume == Decimal("3.5")


async def test_far_too_many_candles_spoil_the_answer() -> None:
    stand_in = StandIn()
    stand_in.klines([1] * 5_001)
    async with _standing_in(stand_in) as source:
        asked = source.candles("binance", "BTC/USDT", "1m", _START, 5)

        assert await _fault(asked) is MarketFault.NONSENSE


async def test_questions_have_bounds() -> None:
    source = MarketSource(MarketSourceSettings(Environment.SANDBOX, "http://127.0.0.1:1"))

    with pytest.raises(ValueError, match="symbols"):
        await source.quotes("binance", [f"A{number}/USDT" for number in range(SYMBOLS_MAX + 1)])
    for limit in (0, -1, CANDLES_MAX + 1):
        with pytest.raises(ValueError, match="candles"):
            await source.candles("binance", "BTC/USDT", "1m", _NOW, limit)
    with pytest.raises(ValueError, match="zone"):
        await source.candles("binance", "BTC/USDT", "1m", _NOW.replace(tzinfo=None), 1)
    for interval in ("2m", "1M", "", "1D"):
        with pytest.raises(IntervalNotOffered):
            await source.candles("binance", "BTC/USDT", interval, _NOW, 1)
    with pytest.raises(ExchangeUnknown):
        await source.quotes("nobody", ["BTC/USDT"])
    await source.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.binance.com",
        "https://API3.Binance.com./api",
        "https://data-api.binance.vision",
        "https://www.okx.com",
        "https://api.gateio.ws",
        "https://api.htx.com",
    ],
)
def test_in_the_sandbox_no_address_may_be_a_real_exchanges(url: str) -> None:
    moved = MarketSourceSettings(Environment.SANDBOX, "http://localhost:8200", {"binance": url})
    with pytest.raises(ConfigurationError, match=r"BINANCE_BASE_URL.*real exchange"):
        MarketSource(moved)

    with pytest.raises(ConfigurationError, match=r"SANDBOX_URL.*real exchange"):
        MarketSource(MarketSourceSettings(Environment.SANDBOX, url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "binance",
        "ftp://host",
        "http://",
        "http://me:word@host",
        "http://host?a=1",
        "http://h#f",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    settings = MarketSourceSettings(Environment.LIVE, "", {"binance": url})

    with pytest.raises(ConfigurationError, match=r"^BINANCE_BASE_URL: expected http") as refused:
        addresses(settings)
    assert "word" not in str(refused.value)


def test_live_only_what_is_named_is_asked_elsewhere() -> None:
    settings = MarketSourceSettings(
        Environment.LIVE, "", {"binance": "https://api1.binance.com/", "huobi": "http://h:1/a/"}
    )

    assert addresses(settings) == {"binance": "https://api1.binance.com", "htx": "http://h:1/a"}


def test_a_sandbox_in_a_container_may_be_called_anything() -> None:
    settings = MarketSourceSettings(Environment.SANDBOX, "http://binance:8200")

    assert addresses(settings)["okx"] == "http://binance:8200/okx"


class _Noting(Outbound):
    """Sends nothing: notes where a request would have gone."""

    def __init__(self) -> None:
        super().__init__({}, OutboundLimits())
        self.urls: list[str] = []

    async def send(self, exchange: str, request: OutboundRequest) -> OutboundAnswer:
        self.urls.append(request.url)
        return OutboundAnswer(200, b'{"data":[],"symbols":[]}')


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_live_every_question_goes_to_the_exchanges_one_origin(exchange: str) -> None:
    noting, call = _Noting(), TICKERS[exchange]
    ccxt = CcxtPublic(noting, {})
    market: Mapping[str, Any] = {
        "id": "BTC-USDT",
        "symbol": "BTC/USDT",
        "type": "spot",
        "spot": True,
        "contract": False,
    }
    long_ago_ms = 1_704_067_200_000

    for ask in (
        lambda: ccxt.markets(exchange),
        lambda: ccxt.ask(exchange, call.method, call.asks(["BTCUSDT"])),
        lambda: ccxt.candles(exchange, market, "1h", long_ago_ms, CANDLES[exchange].page_max),
        lambda: ccxt.candles(exchange, market, "1h", _NOW_MS, 10),
    ):
        sent = len(noting.urls)
        # The answer fits hardly one of them; where it was asked for is what counts.
        with contextlib.suppress(MarketSourceUnavailable):
            await ask()
        assert len(noting.urls) == sent + 1
    origin = CCXT_PROFILES[exchange].live_origin
    assert all(url.startswith(f"{origin}/") for url in noting.urls)


async def test_nothing_but_a_public_get_can_leave() -> None:
    noting = _Noting()
    ccxt = CcxtPublic(noting, {})

    for method in ("publicPostBulletPublic", "privatePostOrders", "privateGetAccounts"):
        with pytest.raises(MarketSourceUnavailable):
            await ccxt.ask("kucoin", method, {"a": "b"})

    assert noting.urls == []


async def test_a_redirect_reaches_nobody() -> None:
    stand_in = StandIn()
    async with serving(record_only) as (foreign, received):
        stand_in.said["24hr"] = reply(b"", f"Location: {foreign}/x", status="307 Elsewhere")
        async with _standing_in(stand_in) as source:
            fault = await _fault(source.quotes("binance", ["BTC/USDT"]))

    assert fault is MarketFault.NONSENSE
    assert received.connections == 0
