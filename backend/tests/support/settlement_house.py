"""The settlement itself, over real HTTP on a loopback port, on a database of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import uvicorn
from httpx2 import AsyncClient
from pydantic import SecretStr

from backend.app.config import SettlementSettings
from backend.app.main import AppRole, create_app
from backend.app.serving import listening
from backend.app.settlement_container import SettlementContainer
from backend.tests.support.settings import settings_for_tests

_POLL_SECONDS = 0.01


def new_token() -> str:
    """Return a token nobody knows."""
    return secrets.token_urlsafe(48)


def order(withdrawal_id: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a payout as it is asked for."""
    return {
        "merchant_id": 7,
        "account_id": 8,
        "amount": "10.00",
        "account": "DE89370400440532013000",
        "withdrawal_id": withdrawal_id,
        **changes,
    }


def settlement_services(database_url: str, *tokens: str, **exchange: Any) -> SettlementContainer:
    """Return the services of a settlement that opens to these tokens."""
    told = SettlementSettings(_env_file=None, settlement_token=SecretStr(",".join(tokens)))
    return SettlementContainer(
        replace(settings_for_tests(**exchange), settlement=told), database_url
    )


@dataclass
class ServedSettlement:
    """Where it listens, and what opens it."""

    url: str
    token: str
    services: SettlementContainer
    client: AsyncClient

    async def misbehave(self, *rules: dict[str, Any], seed: int = 0) -> None:
        """Put a fault deck in play."""
        answer = await self.client.post(
            "/control/faults", json={"seed": seed, "rules": list(rules)}
        )
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def served_settlement(database_url: str) -> AsyncIterator[ServedSettlement]:
    """Serve it by uvicorn until the block ends."""
    token = new_token()
    services = settlement_services(database_url, token)
    app = create_app(AppRole.SETTLEMENT, services)
    with listening("127.0.0.1", 0, "nothing: the port is free") as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(_POLL_SECONDS)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with AsyncClient(base_url=url, timeout=60) as client:
            yield ServedSettlement(url, token, services, client)
        server.should_exit = True
        await serving
    await services.stop()
