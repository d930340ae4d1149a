"""Eight exchanges times twelve misbehaviours: no false verdict, and no byte to a stranger."""

import base64
import logging

import aiohttp
import pytest

from backend.app.enums import Environment
from backend.app.exchanges.connector import Connector, ConnectorSettings
from backend.app.exchanges.outbound import OutboundLimits
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.verification import ExchangeKeys, Verification
from backend.app.secret_value import SecretValue
from backend.tests.support.hostile_exchange import Misbehaviour, misbehave, record_only, serving

_KEY = "canary-key-7f3a91c2"
_SECRET = "canary-secret-55d0e8b1"
_PASSPHRASE = "canary-passphrase-c4"
# Where nothing comes in the end; doubled where a slow machine has not even asked by then.
_SECONDS_MIN, _SECONDS_MAX = 0.3, 60.0
_NEVER_ENDING = {Misbehaviour.DRIP, Misbehaviour.HANG}


def _keys() -> ExchangeKeys:
    return ExchangeKeys(_KEY, SecretValue(_SECRET), SecretValue(_PASSPHRASE))


@pytest.mark.parametrize("misbehaviour", Misbehaviour)
@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_hostile_exchange_gets_no_verdict_and_gives_nothing_away(
    exchange: str, misbehaviour: Misbehaviour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        serving(record_only) as (foreign, stranger),
        serving(misbehave(misbehaviour, exchange, foreign)) as (origin, asked),
    ):
        seconds = _SECONDS_MIN if misbehaviour in _NEVER_ENDING else _SECONDS_MAX
        verification = await _verified(exchange, origin, seconds)
        while not asked.bytes_total and seconds < _SECONDS_MAX:
            seconds *= 2
            verification = await _verified(exchange, origin, seconds)

    assert asked.bytes_total > 0
    assert verification.refusal is not None
    assert verification.refusal.reason is Reason.EXCHANGE_UNAVAILABLE
    assert verification.balances == ()
    assert verification.key_information is None
    assert stranger.connections == 0
    told = f"{verification!r} {caplog.text}"
    for canary in (_KEY, _SECRET, _PASSPHRASE):
        assert canary not in told
        assert base64.b64encode(canary.encode()).decode() not in told


async def _verified(exchange: str, origin: str, seconds: float) -> Verification:
    limits = OutboundLimits(connect_seconds=seconds, read_seconds=seconds, total_seconds=seconds)
    connector = Connector(ConnectorSettings(Environment.SANDBOX, origin, limits))
    try:
        return await connector.verify(exchange, _keys())
    finally:
        await connector.close()


async def test_the_foreign_origin_would_have_seen_a_client_that_follows_redirects() -> None:
    async with (
        serving(record_only) as (foreign, stranger),
        serving(misbehave(Misbehaviour.REDIRECT, "okx", foreign)) as (origin, _asked),
        aiohttp.ClientSession() as careless,
    ):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await careless.get(origin, headers={"OK-ACCESS-KEY": _KEY})

    assert _KEY.encode() in stranger.requests[0]
