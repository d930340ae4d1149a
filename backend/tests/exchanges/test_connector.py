"""The connector against servers that lie: facts, never guesses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from backend.app.enums import Environment
from backend.app.errors import (
    ConfigurationError,
    ExchangeUnknown,
)
from backend.app.exchanges.ccxt_client import CcxtClients, CcxtSigner
from backend.app.exchanges.connector import Connector, ConnectorSettings, allowed_origins
from backend.app.exchanges.outbound import OutboundLimits
from backend.app.exchanges.reasons import Reason, Standing
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.exchanges.wire import SigningKeys
from backend.app.secret_value import SecretValue
from backend.tests.support.hostile_exchange import Answer, Received, record_only, reply, serving

_KEYS = ("canary-key-11", "canary-secret-22", "canary-passphrase-33")
# Nobody here waits in vain, and a busy machine takes its time.
_LIMITS = OutboundLimits(connect_seconds=20.0, read_seconds=20.0, total_seconds=40.0)
_PATHS = {
    "/api/v3/account": {"balances": [{"asset": "BTC", "free": "1.5", "locked": "0.5"}]},
    "/sapi/v1/account/apiRestrictions": {
        "enableReading": True,
        "enableSpotAndMarginTrading": True,
        "enableWithdrawals": False,
        "ipRestrict": False,
    },
}


def _exchange_keys() -> ExchangeKeys:
    key, secret, passphrase = _KEYS
    return ExchangeKeys(key, SecretValue(secret), SecretValue(passphrase))


@asynccontextmanager
async def _connected(
    origin: str, settings: ConnectorSettings | None = None
) -> AsyncIterator[Connector]:
    at = settings or ConnectorSettings(Environment.SANDBOX, origin, _LIMITS)
    connector = Connector(replace(at, sandbox_url=origin))
    try:
        yield connector
    finally:
        await connector.close()


@asynccontextmanager
async def _asked(answer: Answer) -> AsyncIterator[tuple[Connector, Received]]:
    async with serving(answer) as (origin, received), _connected(origin) as connector:
        yield connector, received


def _binance(**other: bytes) -> Answer:
    """Answer as Binance does, except on paths whose last word is in `other`."""

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ")[1].decode().split("?")[0].removeprefix("/binance")
        said = reply(json.dumps(_PATHS[path]).encode())
        writer.write(other.get(path.rsplit("/", 1)[1], said))
        await writer.drain()

    return answer


async def test_what_the_key_may_do_stays_unknown_where_only_that_answer_is_missing() -> None:
    page = reply(b"<html>", "Content-Type: text/html")
    async with _asked(_binance(apiRestrictions=page)) as (connector, _):
        found = await connector.verify("binance", _exchange_keys())

    assert found.refusal is None
    assert [(b.asset, b.available, b.locked) for b in found.balances] == [
        ("BTC", Decimal("1.5"), Decimal("0.5"))
    ]
    assert found.key_information is None
    assert found.key_information_refusal is not None
    assert found.key_information_refusal.reason is Reason.EXCHANGE_UNAVAILABLE


@pytest.mark.parametrize(
    "account",
    [
        b'{"balances":[{"asset":"BTC","free":"-1","locked":"0"}]}',
        b'{"balances":[{"asset":"BTC","free":"1e400","locked":"0"}]}',
        b'{"balances":[{"asset":"BTC","free":"1e-99999999","locked":"0"}]}',
        b'{"balances":[{"asset":"BTC","free":"0e-99999999","locked":"0"}]}',
        b'{"balances":[{"asset":"BTC","free":1e999999999,"locked":"0"}]}',
        b'{"balances":[{"asset":"BTC","free":' + b"9" * 5000 + b',"locked":"0"}]}',
        b"[" * 100_000,
        b'{"balances":{}}',
        b'{"balances":[null]}',
        b'\xff\xfe{"balances":[]}',
    ],
    ids=range(10),
)
async def test_an_amount_no_account_can_hold_is_no_verdict(account: bytes) -> None:
    async with _asked(_binance(account=reply(account))) as (connector, _):
        found = await connector.verify("binance", _exchange_keys())

    assert found.refusal is not None
    assert found.refusal.reason is Reason.EXCHANGE_UNAVAILABLE


async def test_success_needs_the_status_of_success_too() -> None:
    said = reply(json.dumps(_PATHS["/api/v3/account"]).encode(), status="500 Oops")
    async with _asked(_binance(account=said)) as (connector, _):
        found = await connector.verify("binance", _exchange_keys())

    assert found.refusal is not None
    assert found.balances == ()


async def test_a_code_that_repeats_the_key_is_not_kept() -> None:
    said = reply(json.dumps({"code": _KEYS[0], "msg": "no"}).encode(), status="401 No")
    async with _asked(_binance(account=said)) as (connector, _):
        found = await connector.verify("binance", _exchange_keys())

    assert _KEYS[0] not in repr(found)


async def test_the_exchanges_clock_is_told_where_an_answer_tells_it() -> None:
    ours = datetime(2026, 11, 21, 7, 8, 15, tzinfo=UTC)
    said = reply(json.dumps(_PATHS["/api/v3/account"]).encode(), "Date: " + _http_date(ours, 90))
    async with serving(_binance(account=said)) as (origin, _):
        connector = Connector(
            ConnectorSettings(Environment.SANDBOX, origin, _LIMITS), clock=lambda: ours
        )
        found = await connector.verify("binance", _exchange_keys())
        await connector.close()

    assert found.clock_offset_ms == 90_500
    assert {call.at for call in found.evidence} == {ours}


def _http_date(moment: datetime, ahead_seconds: int) -> str:
    shifted = datetime.fromtimestamp(moment.timestamp() + ahead_seconds, UTC)
    return shifted.strftime("%a, %d %b %Y %H:%M:%S GMT")


async def test_a_question_ends_at_its_deadline_and_leaves_nothing_running() -> None:
    async def hold(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async with serving(hold) as (origin, _):
        settings = ConnectorSettings(Environment.SANDBOX, origin, question_seconds=0.1)
        async with _connected(origin, settings) as connector:
            found = await connector.verify("binance", _exchange_keys())
            left = [t for t in asyncio.all_tasks() if "Inquiry" in repr(t.get_coro())]

    assert found.refusal is not None
    assert found.refusal.reason is Reason.EXCHANGE_UNAVAILABLE
    assert left == []


class _SlowLoader(CcxtClients):
    """Takes a minute to load what it needs, by the clock of who asks."""

    seconds = 0.0

    async def signer(self, exchange: str, keys: SigningKeys) -> CcxtSigner:
        self.seconds += 60
        return await super().signer(exchange, keys)


async def test_what_we_have_to_load_is_no_time_of_the_exchanges() -> None:
    async with serving(_binance()) as (origin, _):
        loader = _SlowLoader(origin)
        settings = ConnectorSettings(Environment.SANDBOX, origin, _LIMITS)
        connector = Connector(settings, monotonic=lambda: loader.seconds)
        connector._clients = loader
        found = await connector.verify("binance", _exchange_keys())
        await connector.close()

    assert found.refusal is None
    assert found.latency_ms == 0


async def test_a_caller_who_leaves_takes_every_request_along() -> None:
    async def hold(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async with _asked(hold) as (connector, received):
        asking = asyncio.create_task(connector.verify("binance", _exchange_keys()))
        while received.connections < 2:
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        left = [t for t in asyncio.all_tasks() if "Inquiry" in repr(t.get_coro())]

    assert left == []


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_key_no_request_can_carry_is_never_sent(exchange: str) -> None:
    keys = ExchangeKeys("a\r\nX-Injected: 1", SecretValue("b"), SecretValue("c"))
    async with _asked(record_only) as (connector, received):
        found = await connector.verify(exchange, keys)

    assert found.refusal is not None
    assert found.refusal.standing is Standing.NO_VERDICT
    assert b"X-Injected: 1" not in b"".join(received.requests)


async def test_a_secret_that_pretends_to_be_a_private_key_is_no_verdict() -> None:
    keys = ExchangeKeys("k", SecretValue("-----BEGIN PRIVATE KEY-----\nAA==\n-----END"))
    async with _asked(record_only) as (connector, received):
        found = await connector.verify("binance", keys)

    assert found.refusal is not None
    assert found.refusal.reason is Reason.UNKNOWN
    assert received.connections == 0


async def test_an_exchange_nobody_knows_is_refused_by_name() -> None:
    connector = Connector(ConnectorSettings(Environment.SANDBOX, "http://127.0.0.1:1"))

    with pytest.raises(ExchangeUnknown):
        await connector.verify("ftx", _exchange_keys())


def test_in_sandbox_mode_only_the_sandbox_may_be_asked() -> None:
    settings = ConnectorSettings(Environment.SANDBOX, "http://127.0.0.1:8200")

    assert set(allowed_origins(settings).values()) == {frozenset({"http://127.0.0.1:8200"})}


def test_in_live_mode_only_the_exchanges_own_host_may_be_asked_and_only_by_https() -> None:
    allowed = allowed_origins(ConnectorSettings(Environment.LIVE, "http://127.0.0.1:8200"))

    assert allowed["binance"] == {"https://api.binance.com"}
    assert len({origin for origins in allowed.values() for origin in origins}) == 8
    assert all(o.startswith("https://") for origins in allowed.values() for o in origins)


@pytest.mark.parametrize("url", ["https://api.binance.com", "sandbox:8200", "/nowhere", ""])
def test_a_sandbox_address_that_is_none_refuses_to_start(url: str) -> None:
    with pytest.raises(ConfigurationError):
        allowed_origins(ConnectorSettings(Environment.SANDBOX, url))
