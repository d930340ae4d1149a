"""What an exchange's answers are rendered from, and the form of the eight renderers.

The venue is the world behind them, or the sandbox's own market where there is no database. A
renderer is pure but for the world it is handed: it reads a request in its exchange's words, asks
the world, and says the result in its exchange's words. Signatures and rights have been checked
before it is called.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Protocol

from backend.app.exchanges.key_information import Balance, KeyInformation
from backend.app.exchanges.market_values import (
    Candle,
    Deposit,
    Fill,
    LedgerLine,
    Market,
    Order,
    OrderBook,
    OrderRequest,
    PublicTrade,
    Ticker,
)
from backend.app.exchanges.wire import WireRequest


class OrderRefused(Exception):
    """The world does not take this order or cancellation; `rule` says why in one word.

    Rules: unknown_symbol, bad_number, tick_size, step_size, min_amount, min_notional,
    insufficient_funds, duplicate_client_order_id, too_many_open_orders, order_not_found,
    would_trade, not_fillable.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class World(Protocol):
    """The one market and the accounts that all eight doors open on."""

    def now_ms(self) -> int: ...

    def markets(self) -> Sequence[Market]: ...

    def market(self, symbol: str) -> Market:
        """Raises OrderRefused("unknown_symbol")."""

    async def ticker(self, symbol: str) -> Ticker: ...

    def candles(
        self, symbol: str, interval_ms: int, limit: int, end_ms: int | None = None
    ) -> Sequence[Candle]:
        """Oldest first; at most `limit`, the last one opening at or before `end_ms` (now)."""

    async def order_book(self, symbol: str, limit: int) -> OrderBook: ...

    async def public_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade]: ...

    async def balances(self, account_id: str) -> Sequence[Balance]: ...

    def key_information(self, account_id: str) -> KeyInformation: ...

    async def place(self, account_id: str, asked: OrderRequest) -> Order: ...

    async def cancel(self, account_id: str, order_id: int) -> Order: ...

    async def order(self, account_id: str, order_id: int) -> Order: ...

    async def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]: ...

    async def orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Open and closed ones that are remembered, the oldest first."""

    async def order_news(
        self, account_id: str, after_id: int, watched: Collection[int]
    ) -> Sequence[Order]:
        """The orders numbered above `after_id`, and the watched ones; the oldest first."""

    async def fills(
        self, account_id: str, symbol: str | None = None, order_id: int | None = None
    ) -> Sequence[Fill]:
        """Oldest first."""

    async def deposits(self, account_id: str, asset: str | None = None) -> Sequence[Deposit]:
        """Oldest first."""

    async def ledger(self, account_id: str, asset: str | None = None) -> Sequence[LedgerLine]:
        """Oldest first."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to a handler, taken apart once.

    `account_id` is empty for a public request. `query` holds decoded parameters; `form` the
    decoded body where the exchange posts forms; `json` the parsed body where it posts JSON;
    `path` the values of `{names}` in the handler's path.
    """

    request: WireRequest
    world: World
    account_id: str
    api_key: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    json: Any
    path: Mapping[str, str]


Handler = Callable[[Call], Any]
"""Returns the JSON body of a 200 answer as plain values (str, int, bool, list, dict, None).

Where the world has to be asked for what others may have changed, it is awaited: see `answer_of`.
"""


async def answer_of(handler: Handler, call: Call) -> Any:
    """Return what a handler has to say, whether it had to wait for it or not.

    Raises:
        OrderRefused: the handler's, or its world's.
    """
    said = handler(call)
    return await said if isawaitable(said) else said


class Answers(Protocol):
    """The success answers of one exchange, by method and path (with `{names}`)."""

    exchange: str

    def handlers(self) -> Mapping[tuple[str, str], Handler]: ...

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return status and JSON body of this exchange's own refusal of an order."""
