"""How the house is served, as its clients have to do with it."""

from typing import cast

import aiohttp
from starlette.types import ASGIApp

from backend.app.config import ServerSettings
from backend.app.serving import uvicorn_config


async def test_an_idle_connection_is_closed_by_the_client_and_not_by_the_house() -> None:
    config = uvicorn_config(cast("ASGIApp", None), ServerSettings(_env_file=None))

    async with aiohttp.TCPConnector() as connector:
        assert config.timeout_keep_alive > connector._keepalive_timeout
