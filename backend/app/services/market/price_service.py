"""What people and other services of ours ask about prices."""

from backend.app.clock import Clock
from backend.app.schemas.market_schemas import PriceList
from backend.app.services.market.price_board import PriceBoard
from backend.app.services.market.symbol_names import SymbolNames


class PriceService:
    """Answers the last known prices, each with its source, its age and whether it is stale."""

    def __init__(self, board: PriceBoard, names: SymbolNames, now: Clock) -> None:
        self._board = board
        self._names = names
        self._now = now

    async def list_json(self, limit: int | None = None) -> bytes:
        """Return the JSON of a `PriceList`, of the first `limit` symbols kept.

        Raises:
            MarketDataUnavailable: no source ever answered.
        """
        return (await self._board.prices()).json(self._now(), limit)

    async def one_json(self, name: str) -> bytes:
        """Return the JSON of the `Price` of one symbol, by any of its names.

        Raises:
            SymbolUnknown: no symbol that is kept has this name.
            PriceUnknown: nobody ever told a price of it.
            MarketDataUnavailable: no source ever answered.
        """
        symbol = await self._names.resolve(name)
        return (await self._board.prices()).json_of(symbol, self._now())

    async def latest(self) -> PriceList:
        """Return all prices, for whoever joins them with something else.

        Raises:
            MarketDataUnavailable: no source ever answered.
        """
        return PriceList.model_validate_json(await self.list_json())
