"""Every listener is told every message that follows what it has seen, once and in order."""

import json
from collections.abc import Iterator
from contextlib import suppress

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backend.app.channel_message import Message
from backend.app.services.live.channel_line import HELD_MESSAGES_MAX, ChannelLine
from backend.app.services.live.frames import CloseCode, message_frame


class Ear:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.frames = b""
        self.code: CloseCode | None = None

    def tell(self, frames: bytes) -> None:
        self.frames += frames

    def close(self, code: CloseCode) -> None:
        self.code = code

    @property
    def told(self) -> list[int]:
        return list(numbers_in(self.frames))


def numbers_in(frames: bytes) -> Iterator[int]:
    """Read the numbers out of unmasked text frames, all of them shorter than 126 bytes."""
    while frames:
        length = frames[1]
        yield json.loads(frames[2 : 2 + length])["seq"]
        frames = frames[2 + length :]


def message(seq: int) -> Message:
    return Message("prices", seq, {})


def messages(first: int, last: int) -> list[Message]:
    return [message(seq) for seq in range(first, last + 1)]


def opened(at: int) -> ChannelLine:
    line = ChannelLine("prices")
    line.open(at)
    return line


def listening(line: ChannelLine, seen: int) -> Ear:
    ear = Ear()
    line.join(ear)
    line.finish(ear, seen)
    return ear


def test_what_continues_is_told_and_what_was_told_is_not_told_again() -> None:
    line = opened(at=4)
    ear = listening(line, seen=4)

    line.accept(messages(5, 6))
    line.accept(messages(5, 7))

    assert ear.told == [5, 6, 7]
    assert not line.is_behind


def test_a_hole_is_noticed_and_nothing_beyond_it_is_told() -> None:
    line = opened(at=4)
    ear = listening(line, seen=4)

    line.accept(messages(6, 7))

    assert ear.told == []
    assert line.is_behind


def test_what_is_told_while_the_past_is_read_follows_it_without_what_was_read() -> None:
    line, ear = opened(at=4), Ear()

    line.join(ear)
    line.accept(messages(5, 8))
    line.finish(ear, seen=6)
    line.accept([message(9)])

    assert ear.told == [7, 8, 9]


def test_who_has_seen_more_than_was_told_here_waits_until_we_are_as_far() -> None:
    line = opened(at=4)
    ear = listening(line, seen=6)

    line.accept(messages(5, 6))
    line.accept(messages(7, 8))

    assert ear.told == [7, 8]


def test_who_leaves_while_its_past_is_read_is_told_nothing() -> None:
    line, ear = opened(at=4), Ear()

    line.join(ear)
    line.leave(ear)
    line.finish(ear, seen=4)
    line.accept([message(5)])

    assert ear.told == []
    assert line.is_deserted


def test_who_misses_too_much_while_its_past_is_read_is_too_slow() -> None:
    line, ear = opened(at=0), Ear()

    line.join(ear)
    line.accept(messages(1, HELD_MESSAGES_MAX))
    line.accept([message(HELD_MESSAGES_MAX + 1)])

    assert ear.code is CloseCode.TOO_SLOW


def test_before_its_head_is_known_a_channel_tells_nothing_and_knows_it_is_behind() -> None:
    line = ChannelLine("prices")

    line.accept([message(5)])

    assert (line.seq, line.is_behind) == (None, True)


def test_who_read_less_than_we_began_after_is_told_to_read_again() -> None:
    line = ChannelLine("prices")

    assert [line.open(head) for head in (4, 3, 4, 5)] == [True, False, True, True]
    assert line.seq == 4


def test_one_message_is_one_frame_whoever_it_is_for() -> None:
    line = opened(at=0)
    ears = [listening(line, seen=0) for _ in range(3)]

    line.accept([message(1)])

    assert {ear.frames for ear in ears} == {message_frame(message(1))}


class LineMachine(RuleBasedStateMachine):
    """A database that numbers, announcements that come late, twice or never, and listeners.

    `committed` is the truth. A listener joins, has its past read as far as the truth went at that
    moment, and goes on; whatever happens in between, it hears what follows, once and in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.line = ChannelLine("prices")
        self.committed = 0
        self.joining: dict[Ear, int | None] = {}
        self.steady: dict[Ear, int] = {}

    @rule(count=st.integers(1, 4))
    def commit(self, count: int) -> None:
        self.committed += count

    @precondition(lambda self: self.committed > 0)
    @rule(data=st.data())
    def announce_some(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(max(1, self.committed - 6), self.committed))
        last = data.draw(st.integers(first, self.committed))
        self.line.accept(messages(first, last))

    @rule()
    def catch_up(self) -> None:
        if self.line.seq is not None:
            self.line.is_behind = False
            self.line.accept(messages(self.line.seq + 1, self.committed))

    @rule()
    def join(self) -> None:
        ear = Ear()
        self.joining[ear] = None
        self.line.join(ear)

    @precondition(lambda self: any(head is None for head in self.joining.values()))
    @rule()
    def read_the_past(self) -> None:
        ear = next(ear for ear, head in self.joining.items() if head is None)
        self.joining[ear] = self.committed

    @precondition(lambda self: any(head is not None for head in self.joining.values()))
    @rule()
    def begin(self) -> None:
        ear, head = next((ear, head) for ear, head in self.joining.items() if head is not None)
        del self.joining[ear]
        self.line.open(head)
        self.line.finish(ear, head)
        self.steady[ear] = head

    @precondition(lambda self: self.steady)
    @rule()
    def leave(self) -> None:
        ear, _ = self.steady.popitem()
        self.line.leave(ear)

    @invariant()
    def everybody_heard_a_run_that_follows_what_it_had_seen(self) -> None:
        for ear, seen in self.steady.items():
            assert ear.told == list(range(seen + 1, seen + 1 + len(ear.told)))
            assert seen + len(ear.told) <= self.committed
            if self.line.seq is not None:
                assert seen + len(ear.told) == max(seen, self.line.seq)
        assert all(ear.told == [] for ear in self.joining)

    def teardown(self) -> None:
        with suppress(StopIteration):
            while True:
                self.join()
                self.read_the_past()
                self.begin()
                break
        self.catch_up()
        for ear, seen in self.steady.items():
            assert ear.told == list(range(seen + 1, self.committed + 1))


TestLineMachine = LineMachine.TestCase
TestLineMachine.settings = hypothesis_settings(stateful_step_count=40)
