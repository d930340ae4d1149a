"""What there is to tell of what a shard committed: messages of its channels, and notifications."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from backend.app.candle_numbers import Trade as CandleTrade
from backend.app.channel_message import orders_channel, trades_channel
from backend.app.enums import NotificationKind
from backend.app.models.notification_event import NotificationEvent
from backend.app.repositories.venue_feed_repository import ToldFill, ToldOrder, ToldTrade
from backend.app.services.venue import market_shown, order_shown
from backend.app.services.venue.amounts import in_full
from backend.app.services.venue.spot_markets import Markets
from backend.app.venue.batch import OrderStatus
from backend.app.venue.instruments import ATOMS_PER_UNIT

TOLD_AT_ONCE_MAX: Final = 100
"""Orders, fills or trades of one message, the newest: `more` says that there were others."""
NOTIFIED_AT_ONCE_MAX: Final = 20
"""Filled orders of one user that are each worth a notification; the others share one."""

Body = Mapping[str, Any]


@dataclass(frozen=True)
class News:
    """What happened to users' orders, and what was traded, since the feed told last."""

    orders: Sequence[ToldOrder] = ()
    fills: Sequence[ToldFill] = ()
    trades: Sequence[ToldTrade] = ()

    @property
    def user_ids(self) -> set[int]:
        """Whom any of it concerns."""
        return {each.order.account_id for each in self.orders} | {
            each.fill.account_id for each in self.fills
        }


def candle_trades(markets: Markets, trades: Iterable[ToldTrade]) -> list[CandleTrade]:
    """Return trades as candles are made of them."""
    made = []
    for each in trades:
        market = markets.by_id[each.instrument_id]
        worth = each.price * each.quantity * market.tick_lot_atoms
        made.append(
            CandleTrade(
                symbol=market.symbol,
                trade_id=each.id,
                traded_at=each.traded_at,
                price=Decimal(in_full(each.price, market.ticks_per_unit)),
                quantity=Decimal(in_full(each.quantity, market.lots_per_unit)),
                quote_quantity=Decimal(in_full(worth, ATOMS_PER_UNIT)),
            )
        )
    return made


def trade_messages(markets: Markets, trades: Iterable[ToldTrade]) -> dict[str, list[Body]]:
    """Return a message for each market something was traded on."""
    by_market: dict[int, list[ToldTrade]] = defaultdict(list)
    for each in trades:
        by_market[each.instrument_id].append(each)
    told: dict[str, list[Body]] = {}
    for instrument_id, those in by_market.items():
        market = markets.by_id[instrument_id]
        shown = [market_shown.trade(market, each) for each in those[-TOLD_AT_ONCE_MAX:]]
        body = {
            "trades": [each.model_dump(mode="json") for each in shown],
            "more": len(those) > TOLD_AT_ONCE_MAX,
        }
        told[trades_channel(market.symbol)] = [body]
    return told


@dataclass
class Own:
    """What one user is told, and of how much."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)
    orders_in_all: int = 0
    fills_in_all: int = 0
    filled_in_all: int = 0


def own_news(markets: Markets, news: News, user_ids: Collection[int]) -> dict[int, Own]:
    """Return what each of these users is told."""
    own = {user_id: Own() for user_id in user_ids}
    for order, orders, filled in news.orders:
        if (mine := own.get(order.account_id)) is not None:
            shown = order_shown.stored(markets.by_id[order.instrument_id], order)
            mine.orders.append(shown.model_dump(mode="json"))
            mine.orders_in_all, mine.filled_in_all = orders, filled
    for fill, fills in news.fills:
        if (mine := own.get(fill.account_id)) is not None:
            side = order_shown.fill(markets.by_id[fill.instrument_id], fill)
            mine.fills.append(side.model_dump(mode="json"))
            mine.fills_in_all = fills
    return own


def own_messages(own: Mapping[int, Own]) -> dict[str, list[Body]]:
    """Return a message for each user."""
    return {
        orders_channel(user_id): [
            {
                "orders": mine.orders,
                "fills": mine.fills,
                "more": (mine.orders_in_all, mine.fills_in_all)
                != (len(mine.orders), len(mine.fills)),
            }
        ]
        for user_id, mine in own.items()
    }


def notifications(own: Mapping[int, Own], at: datetime) -> list[NotificationEvent]:
    """Return what users are notified of: their orders that are filled now."""
    events = []
    for user_id, mine in own.items():
        filled = [each for each in mine.orders if each["status"] == OrderStatus.FILLED]
        named = filled[-NOTIFIED_AT_ONCE_MAX:]
        events += [_event(user_id, {name: each[name] for name in _FACTS}, at) for each in named]
        if others := mine.filled_in_all - len(named):
            events.append(_event(user_id, {"orders": others}, at))
    return events


_FACTS: Final = (
    *("id", "client_order_id", "symbol", "side", "type"),
    *("executed_quantity", "executed_quote_quantity", "average_price"),
)


def _event(user_id: int, facts: Mapping[str, Any], at: datetime) -> NotificationEvent:
    return NotificationEvent(
        user_id=user_id,
        kind=NotificationKind.ORDER_FILLED.value,
        facts=dict(facts),
        created_at=at,
    )
