"""Gate's answers: bare lists, seconds, market buys counted in money, keys behind asterisks."""

from dataclasses import replace
from decimal import Decimal

import pytest

from backend.app.enums import Known
from backend.app.exchanges.answers.gate import GateAnswers
from backend.app.exchanges.dialects.gate import GateDialect
from backend.app.exchanges.key_information import KeyInformation
from backend.tests.support.fake_world import API_KEY, FULL_KEY, NOW_MS, Asker, FakeWorld

LIMIT = {
    "currency_pair": "BTC_USDT",
    "type": "limit",
    "account": "spot",
    "side": "buy",
    "amount": "0.01",
    "price": "60000",
    "text": "t-mine",
}
PAIR = {"currency_pair": "BTC_USDT"}


@pytest.fixture
def asker() -> Asker:
    return Asker(GateAnswers(), FakeWorld())


def read_key(information: KeyInformation) -> KeyInformation:
    asker = Asker(GateAnswers(), FakeWorld(information))
    detail = asker.get("/api/v4/account/detail")
    status, listed = asker.ask("GET", "/api/v4/account/main_keys")
    return GateDialect().read_key_information([detail, listed if status == 200 else None], API_KEY)


def test_the_dialect_reads_the_balances(asker: Asker) -> None:
    assert GateDialect().read_balances([asker.get("/api/v4/spot/accounts")]) == asker.world.held


@pytest.mark.parametrize(
    "information",
    [
        FULL_KEY,
        replace(FULL_KEY, can_trade=Known.NO),
        replace(FULL_KEY, ip_restricted=Known.YES, ip_addresses=("203.0.113.7",)),
    ],
)
def test_the_dialect_reads_the_key_as_the_world_has_it(information: KeyInformation) -> None:
    assert read_key(information) == information


@pytest.mark.parametrize("right", ["can_transfer", "can_withdraw"])
def test_every_way_of_moving_money_is_one_right_at_gate(right: str) -> None:
    read = read_key(replace(FULL_KEY, **{right: Known.YES}))

    assert (read.can_transfer, read.can_withdraw) == (Known.YES, Known.UNKNOWN)


def test_a_sub_account_may_not_list_its_keys() -> None:
    asker = Asker(GateAnswers(), FakeWorld(replace(FULL_KEY, is_sub_account=Known.YES)))

    status, refused = asker.ask("GET", "/api/v4/account/main_keys")

    assert (status, refused["label"]) == (403, "FORBIDDEN")
    assert read_key(asker.world.information).can_trade is Known.UNKNOWN


def test_the_key_itself_is_not_repeated(asker: Asker) -> None:
    (row,) = asker.get("/api/v4/account/main_keys")

    assert row["key"] == API_KEY[:8] + "*" * 16


def test_an_account_is_a_classic_one(asker: Asker) -> None:
    assert asker.get("/api/v4/account/detail")["key"] == {"mode": 1}


def test_a_market_buy_is_counted_in_money(asker: Asker) -> None:
    buy = {**LIMIT, "type": "market", "amount": "1280.01", "time_in_force": "ioc"}

    _, order = asker.ask("POST", "/api/v4/spot/orders", body=buy)

    assert asker.world.asked[0].quote_amount == Decimal("1280.01")
    assert asker.world.asked[0].amount is None
    assert (order["amount"], order["left"], order["filled_total"]) == ("1280.01", "0", "1280.01")
    assert Decimal(order["avg_deal_price"]) == Decimal("64000.5")
    assert (order["status"], order["finish_as"]) == ("closed", "filled")


def test_open_orders_are_grouped_by_pair(asker: Asker) -> None:
    asker.ask("POST", "/api/v4/spot/orders", body=LIMIT)
    asker.ask(
        "POST",
        "/api/v4/spot/orders",
        body=LIMIT | {"currency_pair": "DOGE_USDT", "amount": "100", "price": "0.1"},
    )
    asker.ask("POST", "/api/v4/spot/orders", body=LIMIT | {"text": "t-2"})

    groups = asker.get("/api/v4/spot/open_orders")

    assert [(group["currency_pair"], group["total"]) for group in groups] == [
        ("BTC_USDT", 2),
        ("DOGE_USDT", 1),
    ]
    assert [order["text"] for order in groups[0]["orders"]] == ["t-mine", "t-2"]


def test_a_client_id_without_its_prefix_is_refused(asker: Asker) -> None:
    status, refused = asker.ask("POST", "/api/v4/spot/orders", body=LIMIT | {"text": "mine"})

    assert (status, refused["label"]) == (400, "INVALID_PARAM_VALUE")


@pytest.mark.parametrize("body", [None, [], {}, {"text": 7}, {**LIMIT, "amount": True}])
def test_a_body_that_is_no_order_is_refused(asker: Asker, body: object) -> None:
    assert asker.ask("POST", "/api/v4/spot/orders", body=body)[0] == 400
    assert asker.world.placed == {}


def test_an_order_is_not_found_under_another_pair(asker: Asker) -> None:
    _, placed = asker.ask("POST", "/api/v4/spot/orders", body=LIMIT)
    path = f"/api/v4/spot/orders/{placed['id']}"

    assert asker.ask("DELETE", path, {"currency_pair": "DOGE_USDT"})[0] == 404
    assert asker.ask("GET", path, PAIR)[1]["status"] == "open"
    assert asker.ask("DELETE", path, PAIR)[1]["status"] == "cancelled"


def test_the_last_candle_is_open_and_those_before_it_closed(asker: Asker) -> None:
    rows = asker.get("/api/v4/spot/candlesticks", **PAIR, interval="1m", limit="3")

    assert [row[7] for row in rows] == ["true", "true", "false"]
    assert int(rows[-1][0]) == NOW_MS // 60_000 * 60


@pytest.mark.parametrize(
    "path",
    [
        "/api/v4/margin/currency_pairs",
        "/api/v4/futures/usdt/contracts",
        "/api/v4/futures/btc/contracts",
        "/api/v4/delivery/usdt/contracts",
        "/api/v4/options/underlyings",
    ],
)
def test_there_is_nothing_beside_spot(asker: Asker, path: str) -> None:
    assert asker.get(path) == []


def test_one_ticker_is_a_list_of_one(asker: Asker) -> None:
    assert len(asker.get("/api/v4/spot/tickers", **PAIR)) == 1
    assert len(asker.get("/api/v4/spot/tickers", timezone="utc0")) == 2
