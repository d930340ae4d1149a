"""A small Binance of public data that says what a test tells it to, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from backend.tests.support.hostile_exchange import reply, serving


@dataclass
class StandInBinance:
    """Prices by the exchange's names, as JSON texts; `status` and `hangs` are its moods."""

    prices: dict[str, str] = field(default_factory=dict)
    status: HTTPStatus = HTTPStatus.OK
    hangs: bool = False
    origin: str = ""
    askers: list[str] = field(default_factory=list)

    async def answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer one request. The first part of its path says who asks."""
        path = head.split(b" ")[1].partition(b"?")[0].decode()
        _, who, *_ = path.split("/")
        if self.hangs:
            await asyncio.sleep(60)
        if self.status != HTTPStatus.OK:
            writer.write(
                b"HTTP/1.1 %d No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" % self.status
            )
        elif path.endswith("exchangeInfo"):
            writer.write(reply(json.dumps({"symbols": [_market(n) for n in self.prices]}).encode()))
        else:
            self.askers.append(who)
            rows = [f'{{"symbol":"{n}","lastPrice":{p}}}' for n, p in self.prices.items()]
            writer.write(reply(f"[{','.join(rows)}]".encode()))
        await writer.drain()


@asynccontextmanager
async def stand_in_binance(**prices: str) -> AsyncIterator[StandInBinance]:
    """Serve one until the block ends."""
    stand_in = StandInBinance(dict(prices))
    async with serving(stand_in.answer) as (origin, _received):
        stand_in.origin = origin
        yield stand_in


def _market(name: str) -> dict[str, Any]:
    return {
        "symbol": name,
        "status": "TRADING",
        "baseAsset": name[:3],
        "quoteAsset": name[3:],
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT"],
        "isSpotTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01", "minPrice": "0.01"},
            {"filterType": "LOT_SIZE", "stepSize": "0.0001", "minQty": "0.0001", "maxQty": "90"},
        ],
    }
