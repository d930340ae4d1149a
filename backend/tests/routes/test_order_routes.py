"""Orders of the spot markets over HTTP: placed, traded, taken back, listed."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.container import Container
from backend.tests.conftest import HandClock
from backend.tests.support.people import person
from backend.tests.support.spot import FILLS, MARKETS, ORDERS, Trader, open_venue, trader


@pytest.fixture(autouse=True)
async def market(services: Container) -> AsyncIterator[None]:
    async with open_venue(services):
        yield


@pytest.fixture
async def alice(client: AsyncClient, services: Container, market: None) -> Trader:
    """She sells: one bitcoin."""
    return await trader(client, services, "alice", BTC="1")


@pytest.fixture
async def bob(client: AsyncClient, services: Container, market: None) -> Trader:
    """He buys: a hundred thousand dollars."""
    return await trader(client, services, "bob", USDT="100000")


async def test_two_orders_trade_and_every_atom_is_where_it_belongs(
    alice: Trader, bob: Trader
) -> None:
    sold = await alice.place(side="sell", price="64000.00", quantity="0.5")
    bought = await bob.place(price="65000", quantity="0.3")

    assert (sold["http"], sold["status"], bought["http"]) == (201, "open", 201)
    assert {name: bought[name] for name in bought if name.startswith(("exec", "aver", "stat"))} == {
        "executed_quantity": "0.30000",
        "executed_quote_quantity": "19200",
        "average_price": "64000",
        "status": "filled",
    }
    # A thousandth of what each receives is the fee; what bob locked above the price is his again.
    assert await alice.wallet("BTC") == ("0.5", "0.2")
    assert await alice.wallet("USDT") == ("19180.8", "0")
    assert await bob.wallet("BTC") == ("0.2997", "0")
    assert await bob.wallet("USDT") == ("80800", "0")
    assert (await alice.get(f"{ORDERS}/{sold['id']}")).json()["status"] == "partially_filled"


async def test_an_order_is_shown_as_it_was_asked(bob: Trader) -> None:
    placed = await bob.place(
        symbol="btc-usdt", price="64000.1", quantity="0.01", client_order_id="b-1"
    )

    shown = (await bob.get(f"{ORDERS}/{placed['id']}")).json()
    assert {**placed, "http": None} == {**shown, "http": None}
    assert shown == {
        "id": shown["id"],
        "client_order_id": "b-1",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "time_in_force": "gtc",
        "self_trade_prevention": "allow",
        "price": "64000.10",
        "stop_price": None,
        "quantity": "0.01000",
        "quote_quantity": None,
        "executed_quantity": "0.00000",
        "executed_quote_quantity": "0",
        "average_price": None,
        "status": "open",
        "created_at": shown["created_at"],
        "updated_at": shown["created_at"],
    }


async def test_cancelling_gives_back_what_was_locked(alice: Trader, bob: Trader) -> None:
    placed = await bob.place(price="64000", quantity="0.5")
    locked = await bob.wallet("USDT")
    await alice.place(side="sell", price="64000", quantity="0.2")

    cancelled = await bob.cancel(placed["id"])
    again = await bob.cancel(placed["id"])

    assert locked == ("68000", "32000")
    assert (cancelled["http"], cancelled["status"]) == (200, "cancelled")
    assert (cancelled["executed_quantity"], cancelled["quantity"]) == ("0.20000", "0.50000")
    assert await bob.wallet("USDT") == ("87200", "0")
    assert (again["http"], again["code"]) == (409, "order-not-open")


async def test_all_open_orders_go_at_once_of_one_market_or_of_all(bob: Trader) -> None:
    bitcoin = [(await bob.place(price="60000", quantity="0.1"))["id"] for _ in range(3)]
    ether = (await bob.place(symbol="ETH/USDT", price="3000", quantity="1"))["id"]

    of_one = (await bob.delete(ORDERS, symbol="BTCUSDT")).json()
    kept = (await bob.get(ORDERS, status="open")).json()["items"]
    of_all = (await bob.delete(ORDERS)).json()
    none_left = await bob.delete(ORDERS)

    assert sorted(of_one["cancelled"]) == sorted(bitcoin)
    assert [each["id"] for each in kept] == of_all["cancelled"] == [ether]
    assert (none_left.status_code, none_left.json()) == (200, {"cancelled": []})
    assert await bob.wallet("USDT") == ("100000", "0")


async def test_a_stop_order_waits_until_a_trade_reaches_its_price(
    alice: Trader, bob: Trader
) -> None:
    stop = await alice.place(
        side="sell", type="stop_limit", stop_price="60000", price="59000", quantity="0.5"
    )
    await bob.place(price="60000", quantity="0.1")
    await bob.place(price="59500", quantity="0.4")
    waiting = (await alice.get(f"{ORDERS}/{stop['id']}")).json()["status"]

    await alice.place(side="sell", price="60000", quantity="0.1")

    reached = (await alice.get(f"{ORDERS}/{stop['id']}")).json()
    assert (stop["status"], waiting, reached["status"]) == (
        "waiting",
        "waiting",
        "partially_filled",
    )
    assert (reached["executed_quantity"], reached["average_price"]) == ("0.40000", "59500")


async def test_a_market_order_buys_the_most_that_its_money_pays(alice: Trader, bob: Trader) -> None:
    await alice.place(side="sell", price="60000", quantity="0.1")
    await alice.place(side="sell", price="70000", quantity="0.9")

    bought = await bob.place(type="market", quote_quantity="13000.5")

    # 6000 buy the first tenth; 7000.5 buy 0.10000 at 70000, and half a dollar is no whole lot.
    assert (bought["executed_quantity"], bought["executed_quote_quantity"]) == ("0.20000", "13000")
    assert (bought["quantity"], bought["quote_quantity"], bought["price"]) == (
        None,
        "13000.5",
        None,
    )
    assert bought["average_price"] == "65000"
    assert await bob.wallet("USDT") == ("87000", "0")
    assert await bob.wallet("BTC") == ("0.1998", "0")


async def test_a_market_order_sells_what_finds_a_buyer_and_the_rest_is_cancelled(
    alice: Trader, bob: Trader
) -> None:
    await bob.place(price="60000", quantity="0.25")

    sold = await alice.place(side="sell", type="market", quantity="0.4")

    assert (sold["status"], sold["executed_quantity"]) == ("cancelled", "0.25000")
    assert await alice.wallet("BTC") == ("0.75", "0")
    assert await alice.wallet("USDT") == ("14985", "0")


async def test_time_in_force_decides_what_becomes_of_the_rest(alice: Trader, bob: Trader) -> None:
    await alice.place(side="sell", price="60000", quantity="0.1")

    killed = await bob.place(price="60000", quantity="0.2", time_in_force="fok")
    refused = await bob.place(price="60000", quantity="0.2", time_in_force="post_only")
    rests = await bob.place(price="59999", quantity="0.1", time_in_force="post_only")
    partly = await bob.place(price="60000", quantity="0.2", time_in_force="ioc")

    assert (killed["status"], killed["executed_quantity"]) == ("cancelled", "0.00000")
    assert (refused["http"], refused["code"]) == (409, "post-only-would-take")
    assert rests["status"] == "open"
    assert (partly["status"], partly["executed_quantity"]) == ("cancelled", "0.10000")
    assert await bob.wallet("USDT") == ("88000.1", "5999.9")


async def test_one_does_not_trade_with_oneself_unless_one_says_so(alice: Trader) -> None:
    await alice.deposit("USDT", "100000")
    await alice.place(side="sell", price="60000", quantity="0.1")

    prevented = await alice.place(
        price="60000", quantity="0.1", self_trade_prevention="cancel_taker"
    )
    allowed = await alice.place(price="60000", quantity="0.1")

    fills = (await alice.get(FILLS)).json()["items"]
    assert (prevented["status"], prevented["executed_quantity"]) == ("cancelled", "0.00000")
    assert allowed["status"] == "filled"
    assert [(each["side"], each["liquidity"]) for each in fills] == [
        ("buy", "taker"),
        ("sell", "maker"),
    ]
    assert await alice.every(FILLS, limit=1) == fills


async def test_fills_tell_price_fee_and_what_it_is_in(alice: Trader, bob: Trader) -> None:
    sold = await alice.place(side="sell", price="64000", quantity="0.5")
    await bob.place(price="64000", quantity="0.2")
    await bob.place(price="64000", quantity="0.3")

    fills = (await alice.get(f"{ORDERS}/{sold['id']}/fills")).json()["items"]
    [newest, oldest] = (await bob.get(FILLS, symbol="BTC-USDT")).json()["items"]

    assert [each["quantity"] for each in fills] == ["0.30000", "0.20000"]
    assert {**oldest, "trade_id": 0, "order_id": 0, "traded_at": ""} == {
        "trade_id": 0,
        "order_id": 0,
        "symbol": "BTC/USDT",
        "side": "buy",
        "liquidity": "taker",
        "price": "64000.00",
        "quantity": "0.20000",
        "quote_quantity": "12800",
        "fee": "0.0002",
        "fee_asset": "BTC",
        "traded_at": "",
    }
    assert newest["trade_id"] > oldest["trade_id"]
    assert [(each["fee"], each["fee_asset"]) for each in fills] == [
        ("19.2", "USDT"),
        ("12.8", "USDT"),
    ]
    assert (await bob.get(FILLS, symbol="ETH/USDT")).json() == {"items": [], "next_cursor": None}


async def test_an_order_of_another_is_an_order_that_is_not_there(
    alice: Trader, bob: Trader
) -> None:
    placed = await bob.place(price="60000", quantity="0.1", client_order_id="mine")
    absent = 2**40 + 2**39

    answers = [
        [
            await alice.get(f"{ORDERS}/{order_id}"),
            await alice.delete(f"{ORDERS}/{order_id}"),
            await alice.get(f"{ORDERS}/{order_id}/fills"),
        ]
        for order_id in (placed["id"], absent)
    ]
    by_name = await alice.get(f"{ORDERS}/by-client-id/mine")

    for foreign, missing in zip(*answers, strict=True):
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json()["code"] == missing.json()["code"] == "order-not-found"
    assert by_name.status_code == 404
    assert (await alice.get(ORDERS)).json()["items"] == []
    assert (await alice.get(FILLS)).json()["items"] == []
    assert (await bob.get(f"{ORDERS}/by-client-id/mine")).json()["status"] == "open"


async def test_an_order_of_cards_is_none_of_the_spot_markets(
    client: AsyncClient, bob: Trader
) -> None:
    card = await client.post(
        "/api/v1/cards/orders",
        json={"card_id": 1, "side": "buy", "price": "2.50"},
        headers=bob.who.headers,
    )
    spot = await bob.place(price="60000", quantity="0.1")

    assert (await bob.get(f"{ORDERS}/{card.json()['id']}")).status_code == 404
    assert (await bob.get(f"/api/v1/cards/orders/{spot['id']}")).status_code == 404
    assert [each["id"] for each in (await bob.get(ORDERS)).json()["items"]] == [spot["id"]]


async def test_the_same_order_under_one_id_is_placed_once_and_shown_as_it_stands(
    alice: Trader, bob: Trader
) -> None:
    order = {"price": "60000", "quantity": "0.1", "client_order_id": "b-1"}
    first = await bob.place(**order)
    await alice.place(side="sell", price="60000", quantity="0.04")

    again = await bob.place(**{**order, "price": "60000.00"})
    other = await bob.place(**{**order, "quantity": "0.2"})

    assert again["id"] == first["id"]
    assert (again["status"], again["executed_quantity"]) == ("partially_filled", "0.04000")
    assert (other["http"], other["code"]) == (409, "client-order-id-taken")
    assert await bob.wallet("USDT") == ("94000", "3600")


async def test_a_batch_is_answered_order_by_order(alice: Trader, bob: Trader) -> None:
    items = await bob.place_all(
        {"price": "60000", "quantity": "0.1", "client_order_id": "b-1"},
        {"price": "60000.001", "quantity": "0.1"},
        {"price": "60000", "quantity": "90"},
        {"symbol": "NOPE/USDT", "price": "1", "quantity": "9"},
        {"price": "60000", "quantity": "0.1", "client_order_id": "b-1"},
        {"price": "60000", "quantity": "0.2", "client_order_id": "b-1"},
        {"type": "market", "quote_quantity": "4"},
        {"price": "61000", "quantity": "0.1"},
    )

    told = [
        each["order"]["price"]
        if "order" in each
        else (each["problem"]["status"], each["problem"]["code"], each["problem"].get("rule"))
        for each in items
    ]
    assert told == [
        "60000.00",
        (422, "order-refused", "price_tick"),
        (409, "insufficient-funds", None),
        (422, "order-refused", "unknown_symbol"),
        "60000.00",
        (409, "client-order-id-taken", None),
        (422, "order-refused", "min_notional"),
        "61000.00",
    ]
    assert items[0] == items[4]
    assert await bob.wallet("USDT") == ("87900", "12100")
    # Better prices come first, whatever came first in the batch.
    sold = await alice.place(side="sell", price="60000", quantity="0.15")
    assert sold["executed_quote_quantity"] == "9100"


async def test_a_batch_that_is_malformed_anywhere_places_nothing(bob: Trader) -> None:
    good = {"symbol": "BTC/USDT", "side": "buy", "price": "60000", "quantity": "0.1"}

    answers = [
        await bob.post(f"{ORDERS}/batch", {"orders": orders})
        for orders in ([good, {**good, "price": 60000}], [], [good] * 101, good, None)
    ]

    assert [each.status_code for each in answers] == [422] * 5
    assert answers[0].json()["errors"][0]["loc"] == ["body", "orders", "1", "price"]
    assert (await bob.get(ORDERS)).json()["items"] == []


GOOD = {"price": "60000", "quantity": "0.1"}
BAD: list[tuple[dict[str, Any], int, str]] = [
    *[({"price": price}, 422, "validation") for price in ("", "-1", "1e3", "NaN", "Infinity", "0")],
    *[({"price": price}, 422, "validation") for price in (" 2", "2\n", "2,5", "0x2", "٢", "1_0")],
    *[({"price": price}, 422, "validation") for price in (2.5, 2, True, [], "9" * 39, "9" * 400)],
    *[({"quantity": number}, 422, "validation") for number in ("-0.1", "0", 0.1, "1e-3", "NaN")],
    *[({"price": price}, 422, "order-refused") for price in (None, "0.001", "9" * 20)],
    *[({"quantity": lots}, 422, "order-refused") for lots in (None, "0.000001", "9" * 20)],
    *[({"symbol": name}, 422, "order-refused") for name in ("NOPE", "BTC", "PIKACHU", "₿/USDT")],
    *[({"symbol": name}, 422, "validation") for name in ("", 1, None, "B" * 42)],
    *[({"side": side}, 422, "validation") for side in ("", "BUY", "hold", 1, None)],
    *[({"type": kind}, 422, "validation") for kind in ("", "stop", None, 2)],
    *[({"time_in_force": force}, 422, "validation") for force in ("GTC", "day", None)],
    *[({"client_order_id": name}, 422, "validation") for name in ("", "a b", "a" * 65, "é", 7)],
    ({"stop_price": "59000"}, 422, "order-refused"),
    ({"type": "market"}, 422, "order-refused"),
    ({"type": "stop_limit"}, 422, "order-refused"),
    ({"quantity": "0.00001"}, 422, "order-refused"),
    ({"quantity": "1.66667"}, 409, "insufficient-funds"),
    ({"side": "sell"}, 409, "insufficient-funds"),
    ({"unknown": 1}, 422, "validation"),
]


async def test_nonsense_is_refused_precisely_and_changes_nothing(bob: Trader) -> None:
    wrong = []

    for changed, status, code in BAD:
        answer = await bob.place(**{**GOOD, **changed})
        if (answer["http"], answer.get("code")) != (status, code):
            wrong.append((changed, answer["http"], answer.get("code")))

    assert wrong == []
    assert (await bob.get(ORDERS)).json()["items"] == []
    assert await bob.wallet("USDT") == ("100000", "0")
    # The engine has stopped for none of it.
    assert (await bob.place(**GOOD))["http"] == 201


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (ORDERS, {"symbol": "NOPE"}),
        (FILLS, {"symbol": "NOPE"}),
    ],
)
async def test_lists_of_a_market_that_is_not_there_are_not_there(
    bob: Trader, path: str, query: dict[str, str]
) -> None:
    answer = await bob.get(path, **query)

    assert (answer.status_code, answer.json()["code"]) == (404, "symbol-unknown")


@pytest.mark.parametrize("cursor", ["x", "1", "1.", "1.2.3", "-1.2", "9" * 19 + ".1", "١.٢"])
async def test_a_cursor_that_is_none_is_refused(bob: Trader, cursor: str) -> None:
    answer = await bob.get(FILLS, cursor=cursor)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


async def test_lists_are_whole_and_without_doubles_while_orders_are_placed(
    client: AsyncClient, services: Container, alice: Trader, bob: Trader
) -> None:
    before = [(await bob.place(price="60000", quantity="0.001"))["id"] for _ in range(25)]
    carol = Trader(client, await person(services, "carol"))

    async def trade() -> None:
        for number in range(25):
            await bob.place(price=str(50000 + number), quantity="0.001")
            await alice.place(side="sell", price="60000", quantity="0.001")

    trading = asyncio.create_task(trade())
    pages = [await bob.every(ORDERS, limit=3) for _ in range(4)]
    await trading
    fills = await bob.every(FILLS, limit=4)
    trades = await carol.every(f"{MARKETS}/BTC-USDT/trades", limit=4)
    opened = await bob.every(ORDERS, limit=7, status="open")

    for page in pages:
        ids = [each["id"] for each in page]
        assert ids == sorted(set(ids), reverse=True)
        assert set(before) <= set(ids)
    assert len(fills) == len(trades) == 25
    assert [each["trade_id"] for each in fills] == [each["id"] for each in trades]
    assert len({each["trade_id"] for each in fills}) == 25
    assert {each["status"] for each in opened} == {"open"}
    assert sum(Decimal(each["price"]) for each in opened) == sum(range(50000, 50025))


async def test_a_market_at_rest_takes_no_orders_and_lets_them_go(
    services: Container, clock: HandClock, bob: Trader
) -> None:
    placed = await bob.place(**GOOD)
    await halt(services, "BTC/USDT")
    clock.advance(seconds=5)

    refused = await bob.place(**GOOD)

    assert (refused["http"], refused["rule"]) == (422, "market_halted")
    assert (await bob.cancel(placed["id"]))["status"] == "cancelled"


async def halt(services: Container, symbol: str) -> None:
    async with services.database.transaction() as session:
        await session.execute(
            text("UPDATE instruments SET is_active = false WHERE symbol = :symbol"),
            {"symbol": symbol},
        )
