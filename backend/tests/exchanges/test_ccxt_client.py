"""CCXT's clients as we make them: they sign, and cannot send."""

import contextlib
from collections.abc import Iterator

import pytest

from backend.app.enums import Environment
from backend.app.exchanges.ccxt_client import CcxtClients
from backend.app.exchanges.ccxt_profiles import CCXT_PROFILES
from backend.app.exchanges.connector import ConnectorSettings, allowed_origins
from backend.app.exchanges.raw_answer import RawAnswer
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.wire import SigningKeys


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_ccxts_own_switches_cannot_leave_the_sandbox(exchange: str) -> None:
    clients = CcxtClients("http://127.0.0.1:8200")
    signer = await clients.signer(exchange, SigningKeys("k", "s", "p"))
    client = signer.client

    for switch in (client.set_sandbox_mode, client.enable_demo_trading):
        # Some exchanges have no such switch, and CCXT says so in as many ways.
        with contextlib.suppress(Exception):
            switch(True)
        tables = [client.urls[name] for name in ("api", "test", "demo", "demotrading")]
        assert {url.split("/")[2] for url in _addresses(tables)} == {"127.0.0.1:8200"}


def _addresses(table: object) -> Iterator[str]:
    if isinstance(table, str):
        yield table
        return
    for value in table.values() if isinstance(table, dict) else table:
        yield from _addresses(value)


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_live_addresses_of_the_calls_we_make_are_on_the_list(exchange: str) -> None:
    allowed = allowed_origins(ConnectorSettings(Environment.LIVE, ""))[exchange]
    signer = await CcxtClients(None).signer(exchange, SigningKeys("k", "s", "p"))
    asked: list[str] = []

    async def note(method: str, **params: str) -> RawAnswer:
        request = await signer.sign(method, params)
        asked.append("/".join(request.url.split("/")[:3]))
        return RawAnswer.read(200, b'{"data":1}')

    profile = CCXT_PROFILES[exchange]
    await profile.key_information(note, "k")
    await profile.balances(note, [])

    assert asked
    assert set(asked) <= allowed


async def test_a_client_has_no_session_of_its_own_to_leave_by() -> None:
    signer = await CcxtClients("http://127.0.0.1:8200").signer("okx", SigningKeys("k", "s", "p"))

    signer.client.open()

    assert signer.client.session is None
    assert not signer.client.own_session
