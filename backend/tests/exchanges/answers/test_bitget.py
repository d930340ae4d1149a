"""Bitget's answers: a classic account, texts for every number, one list with its own prices."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from backend.app.enums import Known
from backend.app.exchanges.answers.bitget import BitgetAnswers
from backend.app.exchanges.dialects.bitget import BitgetDialect
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.market_values import OrderStatus
from backend.tests.support.fake_world import API_KEY, FULL_KEY, NOW_MS, Asker, FakeWorld

PLACE = "/api/v2/spot/trade/place-order"
CANCEL = "/api/v2/spot/trade/cancel-order"
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "buy",
    "orderType": "limit",
    "force": "GTC",
    "size": "0.01",
    "price": "60000",
    "clientOid": "mine",
}


@pytest.fixture
def asker() -> Asker:
    return Asker(BitgetAnswers(), FakeWorld())


def test_the_dialect_reads_the_balances(asker: Asker) -> None:
    answer = asker.get("/api/v2/spot/account/assets")

    assert BitgetDialect().read_balances([answer]) == asker.world.held


@pytest.mark.parametrize(
    "information",
    [
        FULL_KEY,
        replace(FULL_KEY, can_trade=Known.NO),
        replace(FULL_KEY, can_transfer=Known.YES),
        replace(FULL_KEY, can_transfer=Known.YES, can_withdraw=Known.YES),
        replace(FULL_KEY, ip_restricted=Known.YES, ip_addresses=("203.0.113.7", "::1")),
        replace(FULL_KEY, is_sub_account=Known.YES),
    ],
)
def test_the_dialect_reads_the_key_as_the_world_has_it(information: KeyInformation) -> None:
    asker = Asker(BitgetAnswers(), FakeWorld(information))

    answer = asker.get("/api/v2/spot/account/info")

    assert BitgetDialect().read_key_information([answer], API_KEY) == information


@pytest.mark.parametrize("path", ["/api/v3/account/settings", "/api/v3/account/info"])
def test_a_unified_call_is_told_that_the_account_is_a_classic_one(asker: Asker, path: str) -> None:
    status, refused = asker.ask("GET", path)

    assert (status, refused["code"]) == (400, "40084")


def test_an_order_is_acknowledged_by_its_two_ids(asker: Asker) -> None:
    _, placed = asker.ask("POST", PLACE, body=LIMIT)

    assert placed["data"] == {"orderId": "7000", "clientOid": "mine"}
    assert (placed["code"], placed["msg"], placed["requestTime"]) == ("00000", "success", NOW_MS)


def test_only_the_open_list_puts_the_limit_in_the_average(asker: Asker) -> None:
    _, placed = asker.ask("POST", PLACE, body=LIMIT)
    order_id = placed["data"]["orderId"]
    asker.world.set(
        int(order_id),
        status=OrderStatus.PARTIALLY_FILLED,
        filled=Decimal("0.005"),
        filled_quote=Decimal(299),
    )

    (listed,) = asker.get("/api/v2/spot/trade/unfilled-orders", symbol="BTCUSDT")["data"]
    (found,) = asker.get("/api/v2/spot/trade/orderInfo", orderId=order_id)["data"]

    assert (listed["priceAvg"], listed["basePrice"]) == ("60000", "59800")
    assert (found["price"], found["priceAvg"]) == ("60000", "59800")
    assert listed["status"] == found["status"] == "partially_filled"
    assert "price" not in listed
    assert "basePrice" not in found


def test_the_fee_is_a_json_text_once_something_is_filled(asker: Asker) -> None:
    _, rests = asker.ask("POST", PLACE, body=LIMIT)
    _, fills = asker.ask("POST", PLACE, body=LIMIT | {"orderType": "market", "size": "100"})

    def fee(placed: dict[str, dict[str, str]]) -> str:
        order_id = placed["data"]["orderId"]
        (order,) = asker.get("/api/v2/spot/trade/orderInfo", orderId=order_id)["data"]
        return str(order["feeDetail"])

    assert fee(rests) == ""
    assert json.loads(fee(fills))["BTC"]["totalFee"] == 0


def test_a_market_buys_size_is_money(asker: Asker) -> None:
    asker.ask("POST", PLACE, body=LIMIT | {"orderType": "market", "size": "100"})
    asker.ask("POST", PLACE, body=LIMIT | {"orderType": "market", "side": "sell", "size": "0.5"})

    bought, sold = asker.world.asked
    assert (bought.amount, bought.quote_amount) == (None, Decimal(100))
    assert (sold.amount, sold.quote_amount) == (Decimal("0.5"), None)


@pytest.mark.parametrize("body", [None, [], {}, {**LIMIT, "force": "whenever"}])
def test_a_body_that_is_no_order_is_refused(asker: Asker, body: object) -> None:
    status, refused = asker.ask("POST", PLACE, body=body)

    assert (status, refused["data"]) == (400, None)
    assert asker.world.placed == {}


async def test_a_cancellation_under_another_symbol_cancels_nothing(asker: Asker) -> None:
    _, placed = asker.ask("POST", PLACE, body=LIMIT)
    order_id = placed["data"]["orderId"]

    status, refused = asker.ask("POST", CANCEL, body={"symbol": "DOGEUSDT", "orderId": order_id})

    assert (status, refused["code"]) == (400, "43001")
    assert len(await asker.world.open_orders("")) == 1


def test_open_orders_may_be_asked_by_time(asker: Asker) -> None:
    asker.ask("POST", PLACE, body=LIMIT)
    path = "/api/v2/spot/trade/unfilled-orders"

    assert len(asker.get(path, startTime=str(NOW_MS))["data"]) == 1
    assert asker.get(path, startTime=str(NOW_MS + 1))["data"] == []
    assert asker.get(path, endTime=str(NOW_MS - 1))["data"] == []


def test_history_candles_are_at_most_two_hundred(asker: Asker) -> None:
    rows = asker.get(
        "/api/v2/spot/market/history-candles",
        symbol="BTCUSDT",
        granularity="1min",
        limit="1000",
        endTime=str(NOW_MS),
    )["data"]

    assert len(rows) == 200
    assert int(rows[0][0]) < int(rows[-1][0])
