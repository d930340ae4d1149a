"""A world small enough to know by heart: two markets, orders that do as they are told."""

import json
import re
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from backend.app.enums import Known
from backend.app.exchanges.answers.base import Answers, Call, OrderRefused, answer_of
from backend.app.exchanges.answers.rendering import json_body
from backend.app.exchanges.key_information import Balance, KeyInformation
from backend.app.exchanges.market_values import (
    Candle,
    Deposit,
    Fill,
    LedgerLine,
    Level,
    Market,
    Order,
    OrderBook,
    OrderRequest,
    OrderStatus,
    OrderType,
    PublicTrade,
    Side,
    Ticker,
)
from backend.app.exchanges.wire import WireRequest

NOW_MS = 1_750_000_000_123
MINUTE_MS = 60_000
API_KEY = "0123456789abcdef01234567"
ACCOUNT = "exchange:full"

BTC = Market(
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.00001"),
    min_amount=Decimal("0.00001"),
    max_amount=Decimal(100),
    min_notional=Decimal(5),
)
DOGE = Market(
    base="DOGE",
    quote="USDT",
    tick_size=Decimal("0.00001"),
    step_size=Decimal(1),
    min_amount=Decimal(1),
    max_amount=Decimal(10000000),
    min_notional=Decimal(5),
)
PRICE = {"BTC/USDT": Decimal("64000.5"), "DOGE/USDT": Decimal("0.12345")}

FULL_KEY = KeyInformation(
    can_read=Known.YES,
    can_trade=Known.YES,
    can_withdraw=Known.NO,
    can_transfer=Known.NO,
    ip_restricted=Known.NO,
    ip_addresses=(),
    is_sub_account=Known.NO,
    owner_uid="123456789",
)


def at_once(said: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that never waits: nothing in this world does."""
    try:
        said.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waited for something")


@dataclass
class FakeWorld:
    """The world of one account. A market order fills at once, a limit order rests."""

    information: KeyInformation = FULL_KEY
    held: tuple[Balance, ...] = (
        Balance("BTC", Decimal("2.5"), Decimal("0.00000001")),
        Balance("USDT", Decimal(100000)),
    )
    refuses: str | None = None
    asked: list[OrderRequest] = field(default_factory=list)
    placed: dict[int, Order] = field(default_factory=dict)

    def now_ms(self) -> int:
        return NOW_MS

    def markets(self) -> Sequence[Market]:
        return (BTC, DOGE)

    def market(self, symbol: str) -> Market:
        return next(market for market in self.markets() if market.symbol == symbol)

    async def ticker(self, symbol: str) -> Ticker:
        market, last = self.market(symbol), PRICE[symbol]
        return Ticker(
            market=market,
            last=last,
            bid=last - market.tick_size,
            bid_amount=Decimal(3),
            ask=last + market.tick_size,
            ask_amount=Decimal(4),
            open=last * Decimal("0.99"),
            high=last * Decimal("1.02"),
            low=last * Decimal("0.98"),
            volume=Decimal(1000),
            quote_volume=last * 1000,
            at_ms=NOW_MS,
        )

    def candles(
        self, symbol: str, interval_ms: int, limit: int, end_ms: int | None = None
    ) -> Sequence[Candle]:
        last_ms = (NOW_MS if end_ms is None else end_ms) // interval_ms * interval_ms
        price = PRICE[symbol]
        return [
            Candle(
                open_ms=last_ms - back * interval_ms,
                interval_ms=interval_ms,
                open=price,
                high=price * 3,
                low=price / 2,
                close=price * 2,
                volume=Decimal("1.5"),
                quote_volume=price * 2,
            )
            for back in reversed(range(limit))
        ]

    async def order_book(self, symbol: str, limit: int) -> OrderBook:
        price, tick = PRICE[symbol], self.market(symbol).tick_size
        steps = range(1, min(limit, 5) + 1)
        return OrderBook(
            bids=tuple(Level(price - step * tick, Decimal(step)) for step in steps),
            asks=tuple(Level(price + step * tick, Decimal(step)) for step in steps),
            at_ms=NOW_MS,
        )

    async def public_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade]:
        trades = (
            PublicTrade(101, PRICE[symbol], Decimal("0.5"), Side.SELL, NOW_MS - 1_000),
            PublicTrade(100, PRICE[symbol], Decimal("0.25"), Side.BUY, NOW_MS - 2_000),
        )
        return trades[:limit]

    async def balances(self, account_id: str) -> Sequence[Balance]:
        return self.held

    def key_information(self, account_id: str) -> KeyInformation:
        return self.information

    async def place(self, account_id: str, asked: OrderRequest) -> Order:
        if self.refuses:
            raise OrderRefused(self.refuses)
        self.asked.append(asked)
        order = self._order(len(self.placed) + 7_000, asked)
        self.placed[order.order_id] = order
        return order

    async def cancel(self, account_id: str, order_id: int) -> Order:
        found = await self.order(account_id, order_id)
        return self.set(found.order_id, status=OrderStatus.CANCELLED)

    async def order(self, account_id: str, order_id: int) -> Order:
        if order_id not in self.placed:
            raise OrderRefused("order_not_found")
        return self.placed[order_id]

    async def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        resting = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
        return [
            order
            for order in self.placed.values()
            if order.status in resting and symbol in (None, order.market.symbol)
        ]

    async def orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        return [o for o in self.placed.values() if symbol in (None, o.market.symbol)]

    async def order_news(
        self, account_id: str, after_id: int, watched: Collection[int]
    ) -> Sequence[Order]:
        return [o for o in self.placed.values() if o.order_id > after_id or o.order_id in watched]

    async def fills(
        self, account_id: str, symbol: str | None = None, order_id: int | None = None
    ) -> Sequence[Fill]:
        known = self.placed.values()
        filled = [o for o in known if o.filled and order_id in (None, o.order_id)]
        return [
            Fill(
                fill_id=order.order_id + 1_000,
                order_id=order.order_id,
                market=order.market,
                side=order.side,
                price=PRICE[order.market.symbol],
                amount=order.filled,
                is_maker=order.order_type is OrderType.LIMIT,
                at_ms=order.updated_ms,
            )
            for order in filled
            if symbol in (None, order.market.symbol)
        ]

    async def deposits(self, account_id: str, asset: str | None = None) -> Sequence[Deposit]:
        given = (
            Deposit(501, "BTC", Decimal("2.5"), NOW_MS - MINUTE_MS),
            Deposit(502, "USDT", Decimal(100000), NOW_MS),
        )
        return [deposit for deposit in given if asset in (None, deposit.asset)]

    async def ledger(self, account_id: str, asset: str | None = None) -> Sequence[LedgerLine]:
        return [
            LedgerLine(d.deposit_id + 100, d.asset, d.amount, d.amount, d.at_ms, None)
            for d in await self.deposits(account_id, asset)
        ]

    def set(self, order_id: int, **changed: Any) -> Order:
        """Let something have happened to an order."""
        self.placed[order_id] = replace(self.placed[order_id], updated_ms=NOW_MS + 5, **changed)
        return self.placed[order_id]

    def _order(self, order_id: int, asked: OrderRequest) -> Order:
        price = PRICE[asked.symbol]
        amount = asked.amount or (asked.quote_amount or Decimal(0)) / price
        filled = amount if asked.order_type is OrderType.MARKET else Decimal(0)
        return Order(
            order_id=order_id,
            client_order_id=asked.client_order_id or f"t-{order_id}",
            market=self.market(asked.symbol),
            side=asked.side,
            order_type=asked.order_type,
            status=OrderStatus.FILLED if filled else OrderStatus.OPEN,
            price=asked.price,
            amount=amount,
            filled=filled,
            filled_quote=filled * price,
            created_ms=NOW_MS,
            updated_ms=NOW_MS,
        )


@dataclass(frozen=True)
class Asker:
    """Asks one exchange's answers as its door would: by method and path."""

    answers: Answers
    world: FakeWorld

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> tuple[int, Any]:
        """Return status and parsed JSON."""
        for (known_method, template), handler in self.answers.handlers().items():
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), path)
            if known_method == method and found:
                call = Call(
                    request=WireRequest(method, path),
                    world=self.world,
                    account_id=ACCOUNT,
                    api_key=API_KEY,
                    query=query or {},
                    form={},
                    json=body,
                    path=found.groupdict(),
                )
                try:
                    return 200, json.loads(
                        json_body(at_once(answer_of(handler, call))), parse_float=Decimal
                    )
                except OrderRefused as refused:
                    status, said = self.answers.render_order_refused(refused.rule)
                    return status, json.loads(json_body(said))
        raise AssertionError(f"no answer to {method} {path}")

    def get(self, path: str, **query: str) -> Any:
        """Return the parsed JSON of a GET."""
        return self.ask("GET", path, query)[1]
