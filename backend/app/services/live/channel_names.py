"""Which channel a client means. Nobody can name another's: whose it is, the server says."""

from typing import Final, Protocol

from backend.app.candle_interval import CandleInterval
from backend.app.channel_message import (
    ADMINISTRATORS_NOTIFICATIONS,
    CANDLES,
    NOTIFICATIONS,
    PRICES,
    candles_channel,
    notifications_channel,
)
from backend.app.enums import Role
from backend.app.errors import ChannelUnknown

_INTERVALS: Final = frozenset(CandleInterval)


class SymbolNames(Protocol):
    """Knows the markets, however somebody spells them."""

    async def resolve(self, name: str) -> str:
        """Return the unified symbol.

        Raises:
            SymbolUnknown: no market of that name is kept here.
        """
        ...


class ChannelNames:
    """Turns what a client names into a channel."""

    def __init__(self, symbols: SymbolNames) -> None:
        self._symbols = symbols

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
        if named == ADMINISTRATORS_NOTIFICATIONS and role is Role.ADMIN:
            return ADMINISTRATORS_NOTIFICATIONS
        symbol, _, interval = rest.rpartition(":")
        if kind != CANDLES or not symbol or interval not in _INTERVALS:
            raise ChannelUnknown(
                "Channels are `prices`, `notifications` and `candles:SYMBOL:INTERVAL` with "
                f"intervals {', '.join(CandleInterval)}."
            )
        return candles_channel(await self._symbols.resolve(symbol), interval)
