"""The way out to foreign addresses, against real sockets; only the name server is a fake."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web

from backend.app.enums import DeliveryFailure
from backend.app.services.webhooks.address_guard import AddressGuard
from backend.app.services.webhooks.webhook_sender import Letter, Outcome, WebhookSender
from backend.tests.support.webhook_receiver import Receiver, receiving

REFUSED = Outcome(DeliveryFailure.ADDRESS_REFUSED)


class FakeNames:
    """A name server that answers in turn, and again and again the last."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def letter(url: str) -> Letter:
    return Letter(url, {"webhook-id": "msg_1"}, b'{"type":"x"}')


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    sender = WebhookSender(AddressGuard(allow_loopback=True), attempt_seconds_max=60.0)
    yield sender
    sender.close()


async def test_a_message_arrives_byte_for_byte(sender: WebhookSender, receiver: Receiver) -> None:
    outcome = await sender.send(letter(receiver.url + "?token=a%2Fb"))

    assert outcome == Outcome(status=204)
    assert receiver.received[0].body == b'{"type":"x"}'
    assert receiver.received[0].path == "/hook?token=a%2Fb"
    assert receiver.received[0].message_id == "msg_1"


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (302, DeliveryFailure.REDIRECT),
        (400, DeliveryFailure.STATUS),
        (410, DeliveryFailure.GONE),
        (500, DeliveryFailure.STATUS),
    ],
)
async def test_of_an_answer_only_its_status_counts(
    sender: WebhookSender, receiver: Receiver, status: int, failure: DeliveryFailure
) -> None:
    receiver.answer = lambda _: web.Response(status=status, text="secret words of the far end")

    assert await sender.send(letter(receiver.url)) == Outcome(failure, status)


async def test_no_redirect_is_followed(sender: WebhookSender, receiver: Receiver) -> None:
    receiver.says(307, Location=receiver.url + "/elsewhere")

    await sender.send(letter(receiver.url))

    assert [came.path for came in receiver.received] == ["/hook"]


async def test_no_cookie_comes_back(sender: WebhookSender, receiver: Receiver) -> None:
    receiver.answer = lambda _: web.Response(headers={"Set-Cookie": "a=b"})

    await sender.send(letter(receiver.url))
    await sender.send(letter(receiver.url))

    assert not any("Cookie" in came.headers for came in receiver.received)


async def test_what_a_busy_receiver_asks_for_is_handed_on(
    sender: WebhookSender, receiver: Receiver
) -> None:
    receiver.says(503, **{"Retry-After": "120"})

    outcome = await sender.send(letter(receiver.url))

    assert outcome == Outcome(DeliveryFailure.STATUS, 503, "120")


async def test_a_receiver_that_says_nothing_is_left(receiver: Receiver) -> None:
    receiver.stalls = True
    hasty = WebhookSender(AddressGuard(allow_loopback=True), attempt_seconds_max=0.2)

    assert await hasty.send(letter(receiver.url)) == Outcome(DeliveryFailure.TOO_SLOW)
    hasty.close()


async def test_an_endless_answer_is_not_read(sender: WebhookSender) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        outcome = await sender.send(letter(f"http://127.0.0.1:{port}/"))

    assert outcome == Outcome(status=200)


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 9_999]
)
async def test_what_is_no_answer_is_unreachable(sender: WebhookSender, answer: bytes) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(broken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        outcome = await sender.send(letter(f"http://127.0.0.1:{port}/"))

    assert outcome == Outcome(DeliveryFailure.UNREACHABLE)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/",
        "https://[::1]:{port}/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost:{port}/",
        "http://8.8.8.8/",
        "http://example.com/",
    ],
)
async def test_nothing_private_is_reached_however_it_is_written(
    receiver: Receiver, url: str
) -> None:
    sender = WebhookSender(AddressGuard())
    port = receiver.url.split(":")[2].split("/")[0]

    outcome = await sender.send(letter(url.format(port=port)))

    sender.close()
    assert outcome == REFUSED
    assert receiver.received == []


@pytest.mark.parametrize("url", ["https://2130706433/", "https://127.1/", "https://0x7f.1/"])
async def test_an_old_way_to_write_an_address_reaches_nothing(url: str) -> None:
    sender = WebhookSender(AddressGuard())

    outcome = await sender.send(letter(url))

    sender.close()
    assert outcome.failure in {DeliveryFailure.ADDRESS_REFUSED, DeliveryFailure.UNREACHABLE}


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["8.8.8.8", "192.168.0.1"],
        ["2606:4700::1", "::1"],
        ["fe80::1%1"],
    ],
)
async def test_a_name_that_means_a_private_address_is_refused(addresses: list[str]) -> None:
    names = FakeNames(addresses)
    sender = WebhookSender(AddressGuard(), names)

    outcome = await sender.send(letter("https://hook.example.com/"))

    sender.close()
    assert outcome == REFUSED
    assert names.asked == ["hook.example.com"]


async def test_a_name_that_changes_its_mind_is_asked_once_for_each_message(
    receiver: Receiver,
) -> None:
    # The classic: public while it is checked, private when it is connected to. Here what is
    # checked is what is connected to, so a second meaning is never asked for.
    port = receiver.url.split(":")[2].split("/")[0]
    names = FakeNames(["192.0.2.1"], ["127.0.0.1"])
    sender = WebhookSender(AddressGuard(), names)

    first = await sender.send(letter(f"https://rebound.example.com:{port}/"))
    second = await sender.send(letter(f"https://rebound.example.com:{port}/"))

    sender.close()
    assert (first, second) == (REFUSED, REFUSED)
    assert len(names.asked) == 2
    assert receiver.received == []


async def test_a_name_without_an_address_is_unreachable() -> None:
    sender = WebhookSender(AddressGuard(), FakeNames([]))

    outcome = await sender.send(letter("https://hook.example.com/"))

    sender.close()
    assert outcome == Outcome(DeliveryFailure.UNREACHABLE)


async def test_a_certificate_is_proved(receiver: Receiver) -> None:
    # Nothing there speaks TLS, let alone with a certificate of a public authority.
    sender = WebhookSender(AddressGuard(allow_loopback=True))

    outcome = await sender.send(letter(receiver.url.replace("http:", "https:")))

    sender.close()
    assert outcome == Outcome(DeliveryFailure.UNREACHABLE)
    assert receiver.received == []


def test_a_letter_shows_nothing_of_itself() -> None:
    assert repr(letter("https://example.com/?token=secret")) == "Letter()"
