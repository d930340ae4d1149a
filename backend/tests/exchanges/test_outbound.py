"""The guarded session: where it goes, what it refuses to read, and how much it takes."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from backend.app.exchanges.outbound import (
    Fault,
    NoAnswer,
    Outbound,
    OutboundLimits,
    OutboundRequest,
    _trust_store,
)
from backend.tests.support.hostile_exchange import Answer, Received, record_only, reply, serving

# Whoever waits for an answer waits as long as a busy machine may take, and whoever waits in vain
# not for long.
_LIMITS = OutboundLimits(connect_seconds=20.0, read_seconds=20.0, total_seconds=40.0)
_IN_VAIN = OutboundLimits(connect_seconds=0.5, read_seconds=0.5, total_seconds=1.0)


def _get(url: str, **headers: str) -> OutboundRequest:
    return OutboundRequest("GET", url, headers)


def _saying(answer: bytes) -> Answer:
    async def say(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return say


@asynccontextmanager
async def _exchange(
    answer: Answer, limits: OutboundLimits = _LIMITS
) -> AsyncIterator[tuple[Outbound, str, Received]]:
    async with serving(answer) as (origin, received):
        outbound = Outbound({"okx": frozenset({origin})}, limits)
        try:
            yield outbound, origin, received
        finally:
            await outbound.close()


async def _fault(outbound: Outbound, request: OutboundRequest) -> Fault:
    with pytest.raises(NoAnswer) as silence:
        await outbound.send("okx", request)
    assert silence.value.__cause__ is None
    assert silence.value.__suppress_context__ or silence.value.__context__ is None
    return silence.value.fault


async def test_an_answer_comes_back_whole_whatever_its_status() -> None:
    said = reply(b'{"code":"50119"}', "Date: Sat, 21 Nov 2026 07:08:15 GMT", status="401 No")
    async with _exchange(_saying(said)) as (outbound, origin, _):
        answer = await outbound.send("okx", _get(f"{origin}/api/v5/account/balance"))

    assert (answer.status, answer.body) == (401, b'{"code":"50119"}')
    assert answer.date == "Sat, 21 Nov 2026 07:08:15 GMT"


async def test_the_url_leaves_byte_for_byte_because_it_may_be_signed() -> None:
    async with _exchange(_saying(reply(b"[]"))) as (outbound, origin, received):
        await outbound.send("okx", _get(f"{origin}/v5/x?b=2&a=%3A%2f&c=[1]"))

    assert received.requests[0].startswith(b"GET /v5/x?b=2&a=%3A%2f&c=[1] HTTP/1.1\r\n")


async def test_a_packed_answer_is_unpacked() -> None:
    said = reply(gzip.compress(b"[1]"), "Content-Encoding: gzip")
    async with _exchange(_saying(said)) as (outbound, origin, _):
        answer = await outbound.send("okx", _get(origin))

    assert answer.body == b"[1]"


async def test_only_packings_we_count_are_offered() -> None:
    async with _exchange(_saying(reply(b"[]"))) as (outbound, origin, received):
        await outbound.send("okx", OutboundRequest("GET", origin, {"accept-encoding": "br"}))

    assert b"gzip, deflate\r\n" in received.requests[0]
    assert b"br\r\n" not in received.requests[0]


@pytest.mark.parametrize(
    "foreign",
    [
        "https://{host}:{port}/",
        "http://{host}:1/",
        "http://localhost:{port}/",
        "http://{host}.evil.test:{port}/",
        "http://{host}:{port}@evil.test/",
        "http://evil.test/?{host}:{port}",
        "ftp://{host}:{port}/",
    ],
)
async def test_another_scheme_host_or_port_is_foreign(foreign: str) -> None:
    async with _exchange(_saying(reply(b"[]"))) as (outbound, origin, received):
        host, port = origin.removeprefix("http://").split(":")
        fault = await _fault(outbound, _get(foreign.format(host=host, port=port)))

    assert fault is Fault.FOREIGN_ORIGIN
    assert received.connections == 0


@pytest.mark.parametrize("value", ["a\r\nX-Injected: yes", "a\nb", "a\0b", "пароль"])
async def test_a_header_no_request_can_carry_is_not_sent(value: str) -> None:
    async with _exchange(_saying(reply(b"[]"))) as (outbound, origin, received):
        fault = await _fault(outbound, OutboundRequest("GET", origin, {"OK-ACCESS-KEY": value}))

    assert fault is Fault.UNSENDABLE
    assert received.connections == 0


@pytest.mark.parametrize("url", ["/relative", "http://[::1", "", "http://a b/"])
async def test_what_is_no_address_is_not_sent(url: str) -> None:
    async with _exchange(_saying(reply(b"[]"))) as (outbound, _, received):
        assert await _fault(outbound, _get(url)) in (Fault.UNSENDABLE, Fault.FOREIGN_ORIGIN)

    assert received.connections == 0


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P", "304 N", "300 C"])
async def test_no_redirect_is_followed(status: str) -> None:
    async with serving(record_only) as (foreign, stranger):
        said = reply(b"", f"Location: {foreign}/", f"Refresh: 0; url={foreign}/", status=status)
        async with _exchange(_saying(said)) as (outbound, origin, _):
            assert await _fault(outbound, _get(origin)) is Fault.REDIRECT

    assert stranger.connections == 0


async def test_a_cookie_is_not_kept() -> None:
    said = reply(b"[]", "Set-Cookie: session=1; Path=/")
    async with _exchange(_saying(said)) as (outbound, origin, received):
        await outbound.send("okx", _get(origin))
        await outbound.send("okx", _get(origin))

    assert b"cookie" not in received.requests[1].lower()


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(record_only) as (proxy, stranger):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        async with _exchange(_saying(reply(b"[]"))) as (outbound, origin, _):
            await outbound.send("okx", _get(origin))

    assert stranger.connections == 0


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 5_000 + b"\r\n[]",
    ],
    ids=range(8),
)
async def test_what_is_not_http_is_unreachable(said: bytes) -> None:
    async with _exchange(_saying(said)) as (outbound, origin, _):
        assert await _fault(outbound, _get(origin)) is Fault.UNREACHABLE


async def test_a_port_nobody_listens_on_is_unreachable() -> None:
    async with serving(record_only) as (origin, _):
        pass
    outbound = Outbound({"okx": frozenset({origin})}, _LIMITS)

    assert await _fault(outbound, _get(origin)) is Fault.UNREACHABLE
    await outbound.close()


async def test_a_server_nobody_vouches_for_is_unreachable() -> None:
    async with serving(record_only) as (plain, received):
        origin = plain.replace("http:", "https:")
        outbound = Outbound({"okx": frozenset({origin})}, _IN_VAIN)
        fault = await _fault(outbound, _get(origin))
        await outbound.close()

    assert fault in (Fault.UNREACHABLE, Fault.TOO_SLOW)
    assert all(b"GET" not in request for request in received.requests)


async def test_an_answer_over_the_limit_is_too_large() -> None:
    limits = replace(_LIMITS, body_bytes_max=100)
    async with _exchange(_saying(reply(b" " * 101)), limits) as (outbound, origin, _):
        assert await _fault(outbound, _get(origin)) is Fault.TOO_LARGE


async def test_a_drip_that_feeds_every_read_timeout_meets_the_total() -> None:
    async def drip(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.02)

    limits = replace(_LIMITS, read_seconds=0.2, total_seconds=0.3)
    async with _exchange(drip, limits) as (outbound, origin, _):
        assert await _fault(outbound, _get(origin)) is Fault.TOO_SLOW


async def test_after_failures_the_exchange_is_left_in_peace() -> None:
    limits = replace(_LIMITS, failures_to_open=2)
    async with _exchange(_saying(b""), limits) as (outbound, origin, received):
        faults = [await _fault(outbound, _get(origin)) for _ in range(2)]
        # A GET whose connection was cut is sent once more by aiohttp, hence the comparison.
        asked = received.connections
        faults.append(await _fault(outbound, _get(origin)))

    assert faults == [Fault.UNREACHABLE, Fault.UNREACHABLE, Fault.RESTING]
    assert received.connections == asked


async def test_one_exchange_at_rest_leaves_the_others_alone() -> None:
    limits = replace(_LIMITS, failures_to_open=1)
    async with serving(_saying(b"")) as (down, _), serving(_saying(reply(b"[]"))) as (up, _):
        outbound = Outbound({"okx": frozenset({down}), "gate": frozenset({up})}, limits)
        await _fault(outbound, _get(down))
        answer = await outbound.send("gate", _get(up))
        await outbound.close()

    assert answer.body == b"[]"


async def test_no_more_than_the_limit_are_under_way_and_no_more_than_that_wait() -> None:
    gate, under_way, most = asyncio.Event(), 0, 0

    async def hold(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        writer.write(reply(b"[]"))
        await writer.drain()

    limits = replace(_LIMITS, at_once_max=2, waiting_max=3)
    async with _exchange(hold, limits) as (outbound, origin, _):
        sending = [asyncio.create_task(outbound.send("okx", _get(origin))) for _ in range(6)]
        crowded, _ = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        while under_way < 2:
            await asyncio.sleep(0.001)
        gate.set()
        ended = await asyncio.gather(*sending, return_exceptions=True)

    assert most == 2
    assert len(crowded) == 1
    assert [end.fault for end in ended if isinstance(end, NoAnswer)] == [Fault.CROWDED]


async def test_waiting_for_a_place_ends() -> None:
    async def hold(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    limits = replace(_LIMITS, at_once_max=1, waiting_seconds=0.05)
    async with _exchange(hold, limits) as (outbound, origin, _):
        first = asyncio.create_task(outbound.send("okx", _get(origin)))
        await asyncio.sleep(0)
        fault = await _fault(outbound, _get(origin))
        first.cancel()
        await asyncio.wait([first])

    assert fault is Fault.CROWDED


async def test_a_caller_who_leaves_gives_the_place_back() -> None:
    async def hold(head: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/slow" in head:
            await writer.wait_closed()
        writer.write(reply(b"[]"))

    async with _exchange(hold, replace(_LIMITS, at_once_max=1)) as (outbound, origin, received):
        slow = asyncio.create_task(outbound.send("okx", _get(f"{origin}/slow")))
        while not received.connections:
            await asyncio.sleep(0.001)
        slow.cancel()
        answer = await outbound.send("okx", _get(origin))

    assert slow.cancelled()
    assert answer.body == b"[]"


async def test_nothing_of_a_request_shows_in_a_repr() -> None:
    request = OutboundRequest("GET", "http://h/?AccessKeyId=k3y", {"KEY": "k3y"}, b"k3y")

    assert "k3y" not in repr(request)


def test_the_trust_store_checks_names_and_certificates() -> None:
    store = _trust_store()

    assert store.check_hostname
    assert store.verify_mode is ssl.CERT_REQUIRED


async def test_a_request_that_may_have_had_an_effect_is_never_sent_twice() -> None:
    async with _exchange(_saying(b"")) as (outbound, origin, received):
        fault = await _fault(outbound, OutboundRequest("POST", origin, {}, b"{}"))

    assert fault is Fault.UNREACHABLE
    assert received.connections == 1
