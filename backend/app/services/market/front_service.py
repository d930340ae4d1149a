"""The signed-in user and the latest prices in one answer, for front ends."""

from typing import Literal, Protocol

from backend.app.database import Database
from backend.app.errors import DatabaseUnavailable, MarketDataUnavailable
from backend.app.repositories.user_repository import UserRepository
from backend.app.schemas.market_schemas import PriceList, UserWithPrices
from backend.app.schemas.user_schemas import UserProfile
from backend.app.services.market.price_api_client import PriceApiAway


class LatestPrices(Protocol):
    """Whoever tells the latest prices: the service beside us, or the Price API over HTTP."""

    async def latest(self) -> PriceList:
        """Return all prices.

        Raises:
            MarketDataUnavailable: no source ever answered.
            PriceApiAway: there is nobody to ask.
        """
        ...


class FrontService:
    """Joins what belongs to a user with what everybody may know."""

    def __init__(self, database: Database, prices: LatestPrices) -> None:
        self._database = database
        self._prices = prices

    async def user_with_prices(self, user_id: int) -> UserWithPrices:
        """Return a user with the latest prices; the user alone, and why, if they are away."""
        async with self._database.snapshot() as session:
            user = UserProfile.model_validate(await UserRepository(session).get(user_id))
        found, because = await self._latest()
        return UserWithPrices(
            user=user,
            prices=found.prices if found else [],
            missing=found.missing if found else [],
            prices_available=found is not None,
            because=because,
        )

    async def _latest(
        self,
    ) -> tuple[PriceList | None, Literal["price_api_away", "market_data_unavailable"] | None]:
        try:
            return await self._prices.latest(), None
        except PriceApiAway:
            return None, "price_api_away"
        except (MarketDataUnavailable, DatabaseUnavailable):
            return None, "market_data_unavailable"
