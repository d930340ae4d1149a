"""The list of exchanges, remembered like everything that many ask for and few change."""

from typing import Final

from pydantic import TypeAdapter

from backend.app.schemas.exchange_schemas import SupportedExchange, SupportedExchanges
from backend.app.services.cache_service import CacheService
from backend.app.services.exchange_service import ExchangeService

_DETAILS: Final = TypeAdapter(list[SupportedExchange])


class ExchangeListService:
    """Answers which exchanges there are and what each needs."""

    def __init__(self, cache: CacheService, ttl_seconds: int) -> None:
        self._cache = cache
        self._ttl_seconds = ttl_seconds

    async def names_json(self) -> bytes:
        """Return the canonical names, as the JSON of `SupportedExchanges`."""

        async def load() -> bytes:
            names = [exchange.id for exchange in ExchangeService.get_supported_exchanges()]
            return SupportedExchanges(exchanges=names).model_dump_json().encode()

        return await self._cache.through("exchanges:names", self._ttl_seconds, load)

    async def details_json(self) -> bytes:
        """Return what each needs, as the JSON of a list of `SupportedExchange`."""

        async def load() -> bytes:
            return _DETAILS.dump_json(ExchangeService.get_supported_exchanges())

        return await self._cache.through("exchanges:details", self._ttl_seconds, load)
