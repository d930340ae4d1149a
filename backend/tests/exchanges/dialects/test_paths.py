"""Every documented path needs its right; every other path is unlisted."""

import pytest

from backend.app.exchanges.dialects.paths import PathRights
from backend.app.exchanges.registry import dialect
from backend.app.exchanges.wire import Right, WireRequest

LISTED = {
    "binance": [
        ("GET", "/api/v3/time", Right.PUBLIC),
        ("GET", "/api/v3/exchangeInfo", Right.PUBLIC),
        ("GET", "/sapi/v1/account/apiRestrictions", Right.KEY),
        ("GET", "/api/v3/account", Right.READ),
        ("GET", "/api/v3/openOrders", Right.READ),
        ("POST", "/api/v3/order", Right.TRADE),
        ("DELETE", "/api/v3/order", Right.TRADE),
        ("POST", "/sapi/v1/asset/transfer", Right.TRANSFER),
        ("POST", "/sapi/v1/capital/withdraw/apply", Right.WITHDRAW),
    ],
    "okx": [
        ("GET", "/api/v5/market/ticker", Right.PUBLIC),
        ("GET", "/api/v5/account/config", Right.KEY),
        ("GET", "/api/v5/account/balance", Right.READ),
        ("GET", "/api/v5/trade/orders-pending", Right.READ),
        ("POST", "/api/v5/trade/batch-orders", Right.TRADE),
        ("POST", "/api/v5/trade/cancel-order", Right.TRADE),
        ("POST", "/api/v5/asset/transfer", Right.TRANSFER),
        ("POST", "/api/v5/asset/withdrawal", Right.WITHDRAW),
    ],
    "bybit": [
        ("GET", "/v5/market/tickers", Right.PUBLIC),
        ("GET", "/v5/user/query-api", Right.KEY),
        ("GET", "/v5/account/wallet-balance", Right.READ),
        ("GET", "/v5/order/realtime", Right.READ),
        ("POST", "/v5/order/create", Right.TRADE),
        ("POST", "/v5/order/cancel", Right.TRADE),
        ("POST", "/v5/asset/transfer/inter-transfer", Right.TRANSFER),
        ("POST", "/v5/asset/withdraw/create", Right.WITHDRAW),
    ],
    "htx": [
        ("GET", "/market/detail/merged", Right.PUBLIC),
        ("GET", "/v2/user/api-key", Right.KEY),
        ("GET", "/v1/account/accounts", Right.READ),
        ("GET", "/v1/account/accounts/100009/balance", Right.READ),
        ("GET", "/v1/order/openOrders", Right.READ),
        ("POST", "/v1/order/orders/place", Right.TRADE),
        ("POST", "/v1/order/orders/59378/submitcancel", Right.TRADE),
        ("POST", "/v1/account/transfer", Right.TRANSFER),
        ("POST", "/v1/dw/withdraw/api/create", Right.WITHDRAW),
    ],
}


@pytest.mark.parametrize(
    ("exchange", "method", "path", "right"),
    [(exchange, *row) for exchange, rows in LISTED.items() for row in rows],
)
def test_a_documented_path_needs_its_right(
    exchange: str, method: str, path: str, right: Right
) -> None:
    assert dialect(exchange).right_needed(WireRequest(method, path)) is right


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/api/v3/account"),
        ("GET", "/api/v3/account/"),
        ("GET", "//api/v3/account"),
        ("GET", "/API/v3/account"),
        ("GET", "/api/v3/%61ccount"),
        ("GET", "/api/v3/order/../account"),
        ("GET", "/v1/account/accounts/../balance"),
        ("GET", "/v1/account/accounts/a/b/balance"),
        ("GET", "/v1/account/accounts//balance"),
        ("GET", "/v1/account/accounts/7/balance\n"),
        ("GET", "/v5/user/delete-api"),
        ("POST", "/v5/user/update-api"),
        ("POST", "/api/v5/users/subaccount/apikey"),
    ],
)
def test_any_other_path_is_unlisted(method: str, path: str) -> None:
    needed = {dialect(exchange).right_needed(WireRequest(method, path)) for exchange in LISTED}

    assert needed == {Right.UNLISTED}


def test_an_exact_path_goes_before_a_pattern() -> None:
    table = PathRights({Right.READ: ["GET /orders/{id}"], Right.TRADE: ["GET /orders/all"]})

    assert table.of(WireRequest("get", "/orders/all")) is Right.TRADE
    assert table.of(WireRequest("GET", "/orders/7")) is Right.READ


def test_a_dot_in_a_listed_path_is_a_dot() -> None:
    table = PathRights({Right.READ: ["GET /v1.1/orders/{id}"]})

    assert table.of(WireRequest("GET", "/v1x1/orders/7")) is Right.UNLISTED
