"""Telling of changed candles: numbered in the transaction that writes them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_numbers import ChangedCandle
from backend.app.channel_message import Message, candles_channel
from backend.app.repositories.channel_repository import ChannelRepository

TOLD_AT_ONCE_MAX: Final = 10
"""Candles told on one channel at once, the newest: who wants history asks `GET /candles`."""


async def publish_candles(
    session: AsyncSession, exchange: str, changed: Iterable[ChangedCandle]
) -> list[Message]:
    """Number what changed on the channel of each series; announce it after the commit."""
    by_channel: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for candle in changed:
        body = {"exchange": exchange, **candle.body}
        by_channel[candles_channel(candle.symbol, candle.interval)].append(body)
    channels, messages = ChannelRepository(session), []
    # In the order of their names: who takes several at once would otherwise wait in a circle.
    for channel in sorted(by_channel):
        newest = sorted(by_channel[channel], key=lambda body: str(body["open_time"]))
        messages += await channels.publish(channel, newest[-TOLD_AT_ONCE_MAX:])
    return messages
