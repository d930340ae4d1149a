"""What is not sealed by this installation, for this mailbox, is heard by nobody."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from backend.app.services.keyed_hash import KeyedHash
from backend.app.services.venue.mailbox import ITEM_BYTES_MAX, ITEMS_WAITING_MAX, Mailbox
from backend.app.services.venue.seal import Seal
from backend.app.services.venue.streams import (
    LETTERS_UNREAD_MAX,
    SENDING_SECONDS_MAX,
    VenueStreams,
)
from backend.app.services.venue.wire import Ask, Book, Reply, book_ask, letter_body
from backend.tests.support.valkey import Valkey
from backend.tests.support.venue_post import SECRET, until

SEAL = Seal(KeyedHash(SECRET, "venue-seal"))
STRANGERS = Seal(KeyedHash(SecretStr("another installation" * 4), "venue-seal"))
BOOK = book_ask(1, 2, 3, Book(4, 5))
MAILBOX = "strongroom:venue:mailbox:"
# So slow no machine is: what is not heard by then was lost for another reason.
SECONDS_MAX = 60.0


class Heard:
    """A mailbox of a test's own, and what came to it."""

    def __init__(self, url: str, seconds_max: float = SECONDS_MAX) -> None:
        self.streams = VenueStreams(url, seconds_max)
        self.mailbox = Mailbox(self.streams, SEAL)
        self.asks: list[tuple[str, Ask]] = []
        self.replies: list[tuple[str, Reply]] = []

    def start(self) -> None:
        self.mailbox.start(
            lambda sender, ask: self.asks.append((sender, ask)),
            lambda sender, reply: self.replies.append((sender, reply)),
        )

    async def stop(self) -> None:
        await self.mailbox.stop()
        await self.streams.close()


@pytest.fixture
async def heard(valkey: Valkey) -> AsyncIterator[Heard]:
    heard = Heard(valkey.url)
    # At an empty mailbox the first look takes half a second.
    put(valkey, heard.mailbox.name, SEAL.close(heard.mailbox.name, letter_body("x", [], [])))
    heard.start()
    await until(lambda: heard.mailbox.is_heard)
    yield heard
    await heard.stop()


def put(valkey: Valkey, mailbox: str, letter: Any, field: str = "letter") -> None:
    valkey.command("XADD", MAILBOX + mailbox, "*", field, letter)


async def test_what_is_sent_is_heard_with_the_name_of_who_sent_it_and_kept_nowhere(
    valkey: Valkey, heard: Heard
) -> None:
    assert heard.mailbox.ask(heard.mailbox.name, BOOK)
    await until(lambda: bool(heard.asks))
    # Deleted with the next look.
    await until(lambda: not valkey.command("XLEN", MAILBOX + heard.mailbox.name))

    assert heard.asks == [(heard.mailbox.name, Ask(1, 2, 3, [], Book(4, 5)))]


FORGED = {
    "nothing": b"",
    "no mark": letter_body("somebody", [BOOK], []),
    "another installation's mark": STRANGERS.close("mailbox", letter_body("x", [BOOK], [])),
    "a letter to somebody else": SEAL.close("somebody-else", letter_body("x", [BOOK], [])),
    "noise": bytes(range(256)),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_a_forged_letter_is_refused_and_its_content_is_not_logged(
    valkey: Valkey, heard: Heard, forged: bytes
) -> None:
    with capture_logs() as lines:
        put(valkey, heard.mailbox.name, forged)
        await until(lambda: bool(lines))
        heard.mailbox.ask(heard.mailbox.name, BOOK)
        await until(lambda: bool(heard.asks))

    assert lines == [
        {"event": "venue_letters_refused", "log_level": "warning", "forged": 1, "unreadable": 0}
    ]
    assert len(heard.asks) == 1


async def test_a_damaged_letter_is_refused(valkey: Valkey, heard: Heard) -> None:
    name = heard.mailbox.name
    letter = SEAL.close(name, letter_body("somebody", [BOOK], []))
    with capture_logs() as lines:
        for place in (0, 31, 32, len(letter) - 1):
            damaged = bytearray(letter)
            damaged[place] ^= 1
            put(valkey, name, bytes(damaged))
        put(valkey, name, letter[:-1])
        put(valkey, name, letter)
        await until(lambda: bool(heard.asks))

    assert sum(line["forged"] for line in lines) == 5
    assert [sender for sender, _ in heard.asks] == ["somebody"]


UNREADABLE = (
    b"",
    b"[]",
    b"{}",
    b"nonsense",
    b"[" * 10_000,
    b'["somebody",[[1,2,3]],[]]',
    b'["somebody",[["1",2,3,[],[4,5]]],[]]',
    b'["somebody",[[1.0,2,3,[],[4,5]]],[]]',
    b'["somebody",[[true,2,3,[],[4,5]]],[]]',
    b'["somebody",[[1,2,3,[["burn",[1,2,3]]],null]],[]]',
    b'["somebody",[[1,2,3,[["cancel",[1,2,"3"]]],null]],[]]',
    b'["somebody",[[1,2,3,[["place",[1,2,"borrow",5,1]]],null]],[]]',
)


@pytest.mark.parametrize("body", UNREADABLE)
async def test_a_letter_of_ours_that_nobody_can_read_stops_nobody(
    valkey: Valkey, heard: Heard, body: bytes
) -> None:
    with capture_logs() as lines:
        put(valkey, heard.mailbox.name, SEAL.close(heard.mailbox.name, body))
        await until(lambda: bool(lines))
    heard.mailbox.ask(heard.mailbox.name, BOOK)
    await until(lambda: bool(heard.asks))

    assert [line["unreadable"] for line in lines] == [1]


async def test_whatever_stands_in_a_mailbox_is_passed_over(valkey: Valkey, heard: Heard) -> None:
    put(valkey, heard.mailbox.name, "x", field="not-a-letter")
    put(valkey, heard.mailbox.name, b"x" * 600_000)
    heard.mailbox.ask(heard.mailbox.name, BOOK)

    await until(lambda: len(heard.asks) == 1)


async def test_a_mailbox_that_became_something_else_is_away_until_it_is_one_again(
    valkey: Valkey, heard: Heard
) -> None:
    valkey.command("DEL", MAILBOX + heard.mailbox.name)
    valkey.command("SET", MAILBOX + heard.mailbox.name, "x")
    await until(lambda: not heard.mailbox.is_heard)

    valkey.command("DEL", MAILBOX + heard.mailbox.name)
    await until(lambda: heard.mailbox.is_heard)


async def test_no_mailbox_grows_without_end_nor_stays_for_ever(
    valkey: Valkey, heard: Heard
) -> None:
    for _ in range(3 * LETTERS_UNREAD_MAX // 100):
        await heard.streams.send([("nobody", b"x" * 100)] * 100)

    assert valkey.command("XLEN", f"{MAILBOX}nobody") < 1.2 * LETTERS_UNREAD_MAX
    assert 0 < valkey.command("TTL", f"{MAILBOX}nobody") <= 30


async def test_what_waits_is_bounded_and_so_is_each_of_it(heard: Heard) -> None:
    assert not heard.mailbox.ask("nobody", b"x" * (ITEM_BYTES_MAX + 1))
    assert all(heard.mailbox.ask("nobody", b"1") for _ in range(ITEMS_WAITING_MAX))

    assert not heard.mailbox.ask("nobody", b"1")


async def test_much_to_say_goes_out_in_several_letters(heard: Heard) -> None:
    long = book_ask(1, 2, 3, Book(4, 5)).ljust(ITEM_BYTES_MAX // 3)
    for _ in range(10):
        heard.mailbox.ask(heard.mailbox.name, long)

    await until(lambda: len(heard.asks) == 10)


async def test_the_last_words_are_sent_at_a_stop(valkey: Valkey, heard: Heard) -> None:
    leaving = Heard(valkey.url)
    leaving.start()

    leaving.mailbox.ask(heard.mailbox.name, BOOK)
    await leaving.stop()

    await until(lambda: bool(heard.asks))


async def test_a_stop_does_not_wait_for_a_redis_that_hangs(valkey: Valkey) -> None:
    leaving = Heard(valkey.url, SENDING_SECONDS_MAX)
    leaving.start()
    await until(lambda: leaving.mailbox.is_heard)
    valkey.hang()
    leaving.mailbox.ask("somebody", BOOK)

    # A second or two, on a machine that has time; without a bound, for ever.
    async with asyncio.timeout(SECONDS_MAX):
        await leaving.stop()
    valkey.resume()
