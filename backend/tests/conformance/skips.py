"""What CCXT's tests are told to leave out on the sandbox, and why. Nothing else is left out."""

from collections.abc import Mapping
from typing import Any, Final

DERIVATIVES: Final = ("swap", "future", "option", "margin")
"""The sandbox is a spot exchange."""

REAL_HISTORY: Final = (
    "fetchOrders",
    "fetchOpenOrders",
    "fetchClosedOrders",
    "fetchMyTrades",
    "fetchTradingFees",
    "fetchAccounts",
    "fetchDeposits",
    "fetchLedger",
)
"""Methods whose answer must not be empty: the account has orders, fills and deposits."""

SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    # It wants to hear that only an order among the last 500 is found.
    "bybit": {"options": {"fetchOrder": {"acknowledged": True}}},
    # CCXT's client wants contracts of HTX unless told otherwise.
    "htx": {"options": {"fetchMarkets": {"types": {"linear": False, "inverse": False}}}},
}

METHODS_SKIPPED: Final[Mapping[tuple[str, str], str]] = {
    ("all", "fetchBorrowInterest"): "margin only",
    ("all", "fetchLeverageTiers"): "contracts only",
    ("all", "fetchMarginModes"): "contracts only",
    ("binance", "fetchLedger"): "in CCXT for contracts only",
    ("binance", "fetchLedgerEntry"): "in CCXT for contracts only",
    ("bybit", "fetchTradingFees"): "in CCXT not for spot",
    ("htx", "fetchLastPrices"): "in CCXT for contracts only",
    ("mexc", "fetchTransfers"): "wants a parameter the test does not give",
}

PROPERTIES_SKIPPED: Final[Mapping[tuple[str, str], str]] = {
    # What the exchange does not tell, or CCXT does not read.
    ("binance", "fetchOrderBook"): "timestamp",
    ("binance", "fetchDeposits"): "updated fee",
    ("okx", "fetchDeposits"): "updated",
    ("okx", "fetchTransfers"): "status",
    ("okx", "fetchLedger"): "account",
    ("bybit", "fetchDeposits"): "updated",
    ("bybit", "fetchLedger"): "account",
    ("htx", "fetchLedger"): "status type direction before after fee",
    ("htx", "createOrder"): "symbol",
    ("kucoin", "fetchDeposits"): "id",
    ("kucoin", "fetchLedger"): "status fee",
    ("gate", "fetchDeposits"): "updated",
    ("bitget", "fetchDeposits"): "fee",
    ("mexc", "fetchDeposits"): "id updated fee",
    ("mexc", "fetchAccounts"): "type",
    # CCXT's own table has a word here that its test does not know.
    ("gate", "fetchLedger"): "account status fee type",
    ("bitget", "fetchLedger"): "account status type",
    # Gate tells no opening price; CCXT works it back from a rounded percentage.
    ("gate", "fetchTicker"): "compareOHLC",
    ("gate", "fetchTickers"): "compareOHLC",
    # CCXT asks MEXC for every order and calls them all closed.
    ("mexc", "fetchClosedOrders"): "status",
}
