"""Which channel a client means. Nobody can name another's: whose it is, the server says."""

from typing import Final, Protocol

from backend.app.candle_interval import CandleInterval
from backend.app.channel_message import (
    CANDLES,
    NOTIFICATIONS,
    PRICES,
    candles_channel,
    notifications_channel,
)
from backend.app.errors import ChannelUnknown

_INTERVALS: Final = frozenset(CandleInterval)


class SymbolNames(Protocol):
    """Knows the markets, however somebody spells them."""

    async def resolve(self, typed: str) -> str:
        """Return the unified symbol.

        Raises:
            SymbolUnknown: no market of that name is kept here.
        """
        ...


class ChannelNames:
    """Turns what a client names into a channel."""

    def __init__(self, symbols: SymbolNames | None = None) -> None:
        self._symbols = symbols

    async def resolve(self, named: str, user_id: int) -> str:
        """Return the channel a user means.

        Raises:
            ChannelUnknown: there is none of that name.
            SymbolUnknown: nor any market of that one.
        """
        kind, _, rest = named.partition(":")
        if named == PRICES:
            return PRICES
        if named == NOTIFICATIONS:
            return notifications_channel(user_id)
        symbol, _, interval = rest.rpartition(":")
        if self._symbols is None or kind != CANDLES or not symbol or interval not in _INTERVALS:
            raise ChannelUnknown(
                "Channels are `prices`, `notifications` and `candles:SYMBOL:INTERVAL` with "
                f"intervals {', '.join(CandleInterval)}."
            )
        return candles_channel(await self._symbols.resolve(symbol), interval)
