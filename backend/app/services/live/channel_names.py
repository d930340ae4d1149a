"""Which channel a client means. Nobody can name another's: whose it is, the server says."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from backend.app.candle_interval import CandleInterval
from backend.app.channel_message import (
    ADMINISTRATORS_NOTIFICATIONS,
    BOOK,
    CANDLES,
    NOTIFICATIONS,
    ORDERS,
    PRICES,
    TRADES,
    book_channel,
    candles_channel,
    notifications_channel,
    orders_channel,
    trades_channel,
)
from backend.app.enums import Role
from backend.app.errors import ChannelUnknown

_INTERVALS: Final = frozenset(CandleInterval)
_OF_SPOT_MARKETS: Final[Mapping[str, Callable[[str], str]]] = {
    TRADES: trades_channel,
    BOOK: book_channel,
}


class SymbolNames(Protocol):
    """Knows the markets, however somebody spells them."""

    async def resolve(self, name: str) -> str:
        """Return the unified symbol.

        Raises:
            SymbolUnknown: no market of that name is kept here.
        """
        ...


class ChannelNames:
    """Turns what a client names into a channel. `spot` are the markets of our own venue."""

    def __init__(self, symbols: SymbolNames, spot: SymbolNames) -> None:
        self._symbols = symbols
        self._spot = spot

    async def resolve(self, named: str, user_id: int, role: Role) -> str:
        """Return the channel a user means.

        Raises:
            ChannelUnknown: there is none of that name.
            SymbolUnknown: no market of that name is kept here.
            MarketDataUnavailable: none is kept yet.
        """
        kind, _, rest = named.partition(":")
        if named == PRICES:
            return PRICES
        if named == NOTIFICATIONS:
            return notifications_channel(user_id)
        if named == ORDERS:
            return orders_channel(user_id)
        if named == ADMINISTRATORS_NOTIFICATIONS and role is Role.ADMIN:
            return ADMINISTRATORS_NOTIFICATIONS
        if kind in _OF_SPOT_MARKETS and rest:
            return _OF_SPOT_MARKETS[kind](await self._spot.resolve(rest))
        symbol, _, interval = rest.rpartition(":")
        if kind != CANDLES or not symbol or interval not in _INTERVALS:
            raise ChannelUnknown(
                "Channels are `prices`, `notifications`, `orders`, `trades:SYMBOL`, `book:SYMBOL` "
                f"and `candles:SYMBOL:INTERVAL` with intervals {', '.join(CandleInterval)}."
            )
        return candles_channel(await self._symbols.resolve(symbol), interval)
