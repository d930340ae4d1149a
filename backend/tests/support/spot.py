"""Traders of the spot markets, over HTTP."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from httpx2 import AsyncClient, Response

from backend.app.container import Container
from backend.tests.support.people import Person, person
from backend.tests.support.venue import led, running

ORDERS: Final = "/api/v1/orders"
FILLS: Final = "/api/v1/fills"
WALLETS: Final = "/api/v1/wallets"
MARKETS: Final = "/api/v1/markets"
_KEYS = itertools.count(1)


@asynccontextmanager
async def open_venue(services: Container) -> AsyncIterator[None]:
    """Let every shard's engine lead here until the block ends."""
    async with AsyncExitStack() as stack:
        for engine in services.engines.values():
            await led(await stack.enter_async_context(running(engine)))
        yield


class Trader:
    """Somebody who trades. What is refused is returned too: look at `http`."""

    def __init__(self, client: AsyncClient, who: Person) -> None:
        self._client = client
        self.who = who

    async def place(self, **order: Any) -> dict[str, Any]:
        """Place an order on BTC/USDT, a limit order to buy if nothing else is said."""
        asked = {"symbol": "BTC/USDT", "side": "buy", **order}
        return told(await self.post(ORDERS, asked))

    async def place_all(self, *orders: dict[str, Any]) -> list[dict[str, Any]]:
        """Place several orders at once; return what became of each."""
        asked = [{"symbol": "BTC/USDT", "side": "buy", **each} for each in orders]
        answer = await self.post(f"{ORDERS}/batch", {"orders": asked})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def cancel(self, order_id: int) -> dict[str, Any]:
        """Take an order back."""
        return told(await self._client.delete(f"{ORDERS}/{order_id}", headers=self.who.headers))

    async def deposit(self, asset: str, amount: str) -> None:
        """Put test funds in."""
        answer = await self.transfer("deposits", asset, amount)
        assert answer.status_code == 201, answer.text

    async def transfer(
        self, way: str, asset: str, amount: object, key: str | None = None
    ) -> Response:
        """Move test funds under a key, a new one if none is given."""
        return await self.post(
            f"{WALLETS}/{way}",
            {"asset": asset, "amount": amount},
            {"Idempotency-Key": key or f"transfer-{next(_KEYS)}"},
        )

    async def wallet(self, asset: str) -> tuple[str, str]:
        """Return what is available of an asset, and what is locked."""
        for each in (await self.get(WALLETS)).json():
            if each["asset"] == asset:
                return each["available"], each["locked"]
        return "0", "0"

    async def get(self, path: str, **query: Any) -> Response:
        """Ask for something as this trader."""
        return await self._client.get(path, params=query, headers=self.who.headers)

    async def delete(self, path: str, **query: Any) -> Response:
        """Have something removed as this trader."""
        return await self._client.delete(path, params=query, headers=self.who.headers)

    async def post(
        self, path: str, body: object, headers: dict[str, str] | None = None
    ) -> Response:
        """Send something as this trader."""
        return await self._client.post(
            path, json=body, headers={**self.who.headers, **(headers or {})}
        )

    async def every(self, path: str, limit: int, **query: Any) -> list[dict[str, Any]]:
        """Return a whole list, page by page."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            asked = {**query, "limit": limit, **({"cursor": cursor} if cursor else {})}
            page = (await self.get(path, **asked)).json()
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return items


def told(answer: Response) -> dict[str, Any]:
    """Return an answer with its status as `http`."""
    return {**answer.json(), "http": answer.status_code}


async def trader(client: AsyncClient, services: Container, name: str, **funds: str) -> Trader:
    """Enter somebody who has test funds."""
    trader = Trader(client, await person(services, name))
    for asset, amount in funds.items():
        await trader.deposit(asset, amount)
    return trader
