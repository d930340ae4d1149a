"""MEXC's answers: Binance's words, parameters in the query, days instead of an end date."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from backend.app.enums import Known
from backend.app.exchanges.answers.mexc import MexcAnswers
from backend.app.exchanges.dialects.mexc import MexcDialect
from backend.app.exchanges.key_information import KeyInformation
from backend.tests.support.fake_world import API_KEY, FULL_KEY, NOW_MS, Asker, FakeWorld

ORDER = "/api/v3/order"
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.01",
    "price": "60000",
    "newClientOrderId": "mine",
}


@pytest.fixture
def asker() -> Asker:
    return Asker(MexcAnswers(), FakeWorld())


def test_the_dialect_reads_the_balances(asker: Asker) -> None:
    assert MexcDialect().read_balances([asker.get("/api/v3/account")]) == asker.world.held


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"can_trade": Known.NO},
        {"can_transfer": Known.YES},
        {"can_transfer": Known.YES, "can_withdraw": Known.YES},
        {"ip_restricted": Known.YES, "ip_addresses": ("203.0.113.7", "::1")},
    ],
)
def test_the_dialect_reads_the_key_as_the_world_has_it(changed: dict[str, object]) -> None:
    # MEXC tells neither the owner nor whether he is a sub-account.
    information = replace(FULL_KEY, owner_uid=None, is_sub_account=Known.UNKNOWN, **changed)
    asker = Asker(MexcAnswers(), FakeWorld(information))

    answer = asker.get("/api/v3/apiKeyInfo", accessKey=API_KEY)

    assert MexcDialect().read_key_information([answer], API_KEY) == information


def test_an_end_date_is_told_in_days_the_last_one_counted_whole() -> None:
    ends = datetime.fromtimestamp(NOW_MS // 1000, UTC) + timedelta(days=9, hours=23)
    asker = Asker(MexcAnswers(), FakeWorld(replace(FULL_KEY, expires_at=ends)))

    assert asker.get("/api/v3/apiKeyInfo", accessKey=API_KEY)["remainingValidity"] == 10


def test_a_key_without_an_end_tells_no_days(asker: Asker) -> None:
    assert "remainingValidity" not in asker.get("/api/v3/apiKeyInfo", accessKey=API_KEY)


def test_anothers_key_is_not_told_about(asker: Asker) -> None:
    status, refused = asker.ask("GET", "/api/v3/apiKeyInfo", {"accessKey": "mx0another"})

    assert (status, refused["code"]) == (400, 730706)


def test_the_accounts_own_words_say_nothing_of_the_key() -> None:
    information: KeyInformation = replace(FULL_KEY, can_trade=Known.NO)
    account = Asker(MexcAnswers(), FakeWorld(information)).get("/api/v3/account")

    assert (account["canTrade"], account["canWithdraw"]) == (True, True)


def test_an_order_is_placed_from_the_query(asker: Asker) -> None:
    status, placed = asker.ask("POST", ORDER, LIMIT)

    assert status == 200
    assert (placed["orderId"], placed["clientOrderId"]) == ("7000", "mine")
    assert (placed["transactTime"], placed["type"], placed["side"]) == (NOW_MS, "LIMIT", "BUY")
    assert asker.world.asked[0].price == Decimal(60000)


def test_a_market_buy_spends_money_or_takes_an_amount(asker: Asker) -> None:
    market = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}
    asker.ask("POST", ORDER, {**market, "quoteOrderQty": "100", "price": "64000"})
    asker.ask("POST", ORDER, {**market, "quantity": "0.5"})

    by_money, by_amount = asker.world.asked
    assert (by_money.amount, by_money.quote_amount) == (None, Decimal(100))
    assert (by_amount.amount, by_amount.quote_amount) == (Decimal("0.5"), None)


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "STOP_LOSS"},
        {"quantity": "1e3000"},
        {"quantity": "Infinity"},
        {"price": ""},
        {"side": ""},
        {"newClientOrderId": "x" * 65},
    ],
)
def test_an_order_the_world_does_not_understand_is_refused(
    asker: Asker, changed: dict[str, str]
) -> None:
    assert asker.ask("POST", ORDER, LIMIT | changed)[0] == 400
    assert asker.world.placed == {}


def test_a_test_order_is_checked_and_not_placed(asker: Asker) -> None:
    assert asker.ask("POST", "/api/v3/order/test", LIMIT) == (200, {})
    assert asker.ask("POST", "/api/v3/order/test", LIMIT | {"symbol": "NOPE"})[0] == 400
    assert asker.world.placed == {}


def test_an_order_is_not_found_under_another_symbol(asker: Asker) -> None:
    asker.ask("POST", ORDER, LIMIT)

    status, refused = asker.ask("DELETE", ORDER, {"symbol": "DOGEUSDT", "orderId": "7000"})

    assert (status, refused["code"]) == (400, -2011)
    assert len(asker.get("/api/v3/openOrders")) == 1
    assert asker.get("/api/v3/openOrders", symbol="DOGEUSDT") == []


def test_one_ticker_is_an_object_and_all_are_a_list(asker: Asker) -> None:
    assert asker.get("/api/v3/ticker/24hr", symbol="BTCUSDT")["symbol"] == "BTCUSDT"
    assert len(asker.get("/api/v3/ticker/24hr")) == 2


def test_there_are_no_contracts(asker: Asker) -> None:
    assert asker.get("/api/v1/contract/detail") == {"success": True, "code": 0, "data": []}


def test_candles_end_where_asked(asker: Asker) -> None:
    minute_ms = 60_000
    begin = NOW_MS // minute_ms * minute_ms - 10 * minute_ms
    rows = asker.get(
        "/api/v3/klines",
        symbol="BTCUSDT",
        interval="1m",
        startTime=str(begin),
        endTime=str(begin + 3 * minute_ms),
    )

    assert [row[0] for row in rows] == [begin + step * minute_ms for step in range(4)]
    assert rows[0][6] == begin + minute_ms
