"""Which exchanges are asked for prices."""

from backend.app.config import MarketSettings
from backend.app.errors import ConfigurationError, ExchangeUnknown
from backend.app.exchanges.registry import SUPPORTED, ExchangeId, resolve


def price_sources(settings: MarketSettings) -> tuple[str, ...]:
    """Return the exchanges that are asked for prices, the first one first.

    Raises:
        ConfigurationError: the fallback is none of the eight, or the first one again.
    """
    first, fallback = ExchangeId.BINANCE.value, settings.price_fallback_exchange
    if fallback is None:
        return (first,)
    try:
        second = resolve(fallback)
    except ExchangeUnknown:
        second = first
    if second == first:
        others = ", ".join(name for name in SUPPORTED if name != first)
        raise ConfigurationError(f"PRICE_FALLBACK_EXCHANGE: expected one of {others}")
    return (first, second)
