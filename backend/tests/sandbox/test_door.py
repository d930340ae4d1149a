"""The judgement of a request at one door, and that dialects and answers fit together."""

import re

import pytest

from backend.app.errors import DatabaseUnavailable, StrongroomError, VenueBusy
from backend.app.exchanges.answers.registry import answers
from backend.app.exchanges.market_values import OrderBook
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import classify_refusal, dialect
from backend.app.exchanges.wire import Right, WireRequest
from backend.app.sandbox.accounts import EXCHANGES
from backend.app.sandbox.door import Door
from backend.tests.support.fake_world import FakeWorld


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_path_that_is_answered_has_a_right(exchange: str) -> None:
    asked = [
        (method, re.sub(r"\{[a-z_]+\}", "123", path))
        for method, path in answers(exchange).handlers()
    ]

    unlisted = [
        (method, path)
        for method, path in asked
        if dialect(exchange).right_needed(WireRequest(method, path)) is Right.UNLISTED
    ]

    assert unlisted == []


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize(
    "rule",
    [
        "unknown_symbol",
        "bad_number",
        "tick_size",
        "step_size",
        "min_amount",
        "min_notional",
        "insufficient_funds",
        "duplicate_client_order_id",
        "too_many_open_orders",
        "order_not_found",
    ],
)
def test_every_rule_of_the_world_has_words_on_every_exchange(exchange: str, rule: str) -> None:
    status, body = answers(exchange).render_order_refused(rule)

    assert 200 <= status < 500
    assert isinstance(body, dict)


class AwayWorld(FakeWorld):
    """A world whose books cannot be read now."""

    def __init__(self, refusal: StrongroomError) -> None:
        super().__init__()
        self.refusal = refusal

    async def order_book(self, symbol: str, limit: int) -> OrderBook:
        raise self.refusal


@pytest.mark.parametrize(
    "refusal", [VenueBusy(), DatabaseUnavailable()], ids=lambda each: each.slug
)
@pytest.mark.parametrize(
    ("exchange", "path", "query"),
    [
        ("binance", "/api/v3/depth", "symbol=BTCUSDT"),
        ("okx", "/api/v5/market/books", "instId=BTC-USDT"),
        ("bybit", "/v5/market/orderbook", "category=spot&symbol=BTCUSDT"),
        ("htx", "/market/depth", "symbol=btcusdt&type=step0"),
        ("kucoin", "/api/v1/market/orderbook/level2_100", "symbol=BTC-USDT"),
        ("gate", "/api/v4/spot/order_book", "currency_pair=BTC_USDT"),
        ("bitget", "/api/v2/spot/market/orderbook", "symbol=BTCUSDT"),
        ("mexc", "/api/v3/depth", "symbol=BTCUSDT"),
    ],
)
async def test_while_the_venue_is_away_the_exchange_is(
    exchange: str, path: str, query: str, refusal: StrongroomError
) -> None:
    door = Door(dialect(exchange), answers(exchange), AwayWorld(refusal), ())

    answer = await door.answer(WireRequest("GET", path, query), "127.0.0.1")

    told = classify_refusal(exchange, answer.status, answer.body.decode())
    assert told.reason is Reason.EXCHANGE_UNAVAILABLE
