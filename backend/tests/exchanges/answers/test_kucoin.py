"""KuCoin's answers: its envelope, its two kinds of order paths, its key."""

from dataclasses import replace
from decimal import Decimal

import pytest

from backend.app.enums import Known
from backend.app.exchanges.answers.kucoin import KucoinAnswers
from backend.app.exchanges.dialects.kucoin import KucoinDialect
from backend.app.exchanges.key_information import KeyInformation
from backend.tests.support.fake_world import API_KEY, FULL_KEY, NOW_MS, Asker, FakeWorld
from backend.tests.support.offline_ccxt import offline_client

LIMIT = {
    "symbol": "BTC-USDT",
    "side": "buy",
    "type": "limit",
    "size": "0.01",
    "price": "60000",
    "clientOid": "mine",
}


@pytest.fixture
def asker() -> Asker:
    return Asker(KucoinAnswers(), FakeWorld())


@pytest.mark.parametrize("kind", ["trade", "trade_hf"])
def test_the_dialect_reads_the_balances_of_either_trading_account(asker: Asker, kind: str) -> None:
    answer = asker.get("/api/v1/accounts", type=kind)

    assert KucoinDialect().read_balances([answer]) == asker.world.held


def test_the_main_account_holds_nothing(asker: Asker) -> None:
    assert asker.get("/api/v1/accounts", type="main")["data"] == []


@pytest.mark.parametrize(
    "information",
    [
        FULL_KEY,
        replace(FULL_KEY, can_trade=Known.NO),
        replace(FULL_KEY, can_transfer=Known.YES),
        replace(FULL_KEY, can_transfer=Known.YES, can_withdraw=Known.YES),
        replace(FULL_KEY, ip_restricted=Known.YES, ip_addresses=("203.0.113.7", "::1")),
        replace(FULL_KEY, is_sub_account=Known.YES),
        replace(FULL_KEY, can_read=Known.NO),
    ],
)
def test_the_dialect_reads_the_key_as_the_world_has_it(information: KeyInformation) -> None:
    asker = Asker(KucoinAnswers(), FakeWorld(information))

    answer = asker.get("/api/v1/user/api-key")

    assert KucoinDialect().read_key_information([answer], API_KEY) == information


def test_an_order_placed_on_one_path_is_found_on_the_other(asker: Asker) -> None:
    _, placed = asker.ask("POST", "/api/v1/hf/orders", body=LIMIT)
    order_id = placed["data"]["orderId"]

    classic = asker.get(f"/api/v1/orders/{order_id}")["data"]
    fast = asker.get(f"/api/v1/hf/orders/{order_id}", symbol="BTC-USDT")["data"]

    assert placed["data"]["clientOid"] == "mine"
    assert (classic["isActive"], "active" in classic) == (True, False)
    assert (fast["active"], fast["remainSize"]) == (True, "0.01")
    assert classic["clientOid"] == fast["clientOid"] == "mine"


def test_a_high_frequency_cancellation_under_another_market_cancels_nothing(asker: Asker) -> None:
    _, placed = asker.ask("POST", "/api/v1/orders", body=LIMIT)
    path = f"/api/v1/hf/orders/{placed['data']['orderId']}"

    status, refused = asker.ask("DELETE", path, {"symbol": "DOGE-USDT"})

    assert (status, refused["msg"]) == (200, "order_not_exist_or_not_allow_to_cancel")
    assert len(asker.get("/api/v1/hf/orders/active", symbol="BTC-USDT")["data"]) == 1
    assert asker.ask("DELETE", path, {"symbol": "BTC-USDT"})[1]["code"] == "200000"


async def test_a_high_frequency_client_places_and_cancels(asker: Asker) -> None:
    client = offline_client("kucoin", asker, options={"hf": True, "uta": False})

    placed = await client.create_order("BTC/USDT", "limit", "buy", 0.01, 60000)
    (listed,) = await client.fetch_open_orders("BTC/USDT")
    cancelled = await client.cancel_order(placed["id"], "BTC/USDT")

    assert placed["id"] == listed["id"] == cancelled["id"]
    assert (listed["status"], listed["amount"]) == ("open", 0.01)
    assert await client.fetch_open_orders("BTC/USDT") == []


def test_open_orders_come_in_pages(asker: Asker) -> None:
    for number in range(3):
        asker.ask("POST", "/api/v1/orders", body=LIMIT | {"clientOid": f"n{number}"})

    page = asker.get("/api/v1/orders", status="active", pageSize="2", currentPage="2")["data"]

    assert (page["totalNum"], page["totalPage"], page["currentPage"]) == (3, 2, 2)
    assert [item["clientOid"] for item in page["items"]] == ["n2"]


async def test_finished_orders_are_those_that_trade_no_more(asker: Asker) -> None:
    for number in range(3):
        asker.ask("POST", "/api/v1/orders", body=LIMIT | {"clientOid": f"n{number}"})
    await asker.world.cancel("", 7_001)
    await asker.world.cancel("", 7_002)

    done = asker.get("/api/v1/orders", status="done")["data"]["items"]

    assert [(item["clientOid"], item["isActive"]) for item in done] == [
        ("n2", False),
        ("n1", False),
    ]
    assert asker.get("/api/v1/orders", status="lost")["code"] == "400100"


async def test_an_order_is_found_by_the_name_its_owner_gave_it(asker: Asker) -> None:
    asker.ask("POST", "/api/v1/orders", body=LIMIT | {"clientOid": "mine"})
    await asker.world.cancel("", 7_000)

    assert asker.get("/api/v1/order/client-order/mine")["data"]["id"] == "7000"
    assert asker.get("/api/v1/order/client-order/yours")["code"] == "400100"


@pytest.mark.parametrize("path", ["/api/v1/orders/test", "/api/v1/hf/orders/test"])
def test_a_test_order_is_checked_and_not_placed(asker: Asker, path: str) -> None:
    assert asker.ask("POST", path, body=LIMIT)[1]["code"] == "200000"
    assert asker.ask("POST", path, body=LIMIT | {"size": "NaN"})[1]["code"] == "400100"
    assert asker.world.placed == {}


@pytest.mark.parametrize(
    "surplus",
    [{"timeInForce": "GTT"}, {"funds": "10"}, {"side": "hold"}, {"type": ""}],
)
def test_an_order_that_says_more_than_the_world_knows_is_refused_or_plain(
    asker: Asker, surplus: dict[str, object]
) -> None:
    _, said = asker.ask("POST", "/api/v1/orders", body=LIMIT | surplus)

    # KuCoin takes an order without a type as a limit order.
    assert said["code"] == ("200000" if surplus == {"type": ""} else "400100")


@pytest.mark.parametrize("body", [None, [], "text", 7, {"symbol": 7}, {**LIMIT, "clientOid": 7}])
def test_a_body_that_is_no_order_is_refused(asker: Asker, body: object) -> None:
    status, said = asker.ask("POST", "/api/v1/orders", body=body)

    assert (status, said["code"]) == (200, "400100")


def test_candles_are_newest_first_with_the_close_before_the_high(asker: Asker) -> None:
    rows = asker.get("/api/v1/market/candles", symbol="BTC-USDT", type="1min")["data"]

    assert len(rows) == 1500
    assert [int(row[0]) for row in rows[:2]] == [
        NOW_MS // 60_000 * 60,
        NOW_MS // 60_000 * 60 - 60,
    ]
    price = Decimal("64000.5")
    assert [Decimal(text) for text in rows[0][1:5]] == [price, price * 2, price * 3, price / 2]
