"""What the processes of a venue say to each other, as JSON; read strictly, with every type checked.

A letter is `[sender, [ask, ..], [reply, ..]]`. An order's answer does not repeat the order: whoever
asked still has it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from pydantic import JsonValue, TypeAdapter, ValidationError

from backend.app.errors import OrderOutcomeUnknown, StrongroomError
from backend.app.services.venue.desk import Answer, Depth, Known
from backend.app.venue.batch import Done, OrderStatus
from backend.app.venue.commands import CancelAllOrders, CancelOrder, Command, MoveFunds, NewOrder

_Written = (
    tuple[Literal["place"], NewOrder]
    | tuple[Literal["cancel"], CancelOrder]
    | tuple[Literal["cancel_all"], CancelAllOrders]
    | tuple[Literal["move"], MoveFunds]
)
_KINDS: Final[Mapping[type[Command], str]] = MappingProxyType(
    {NewOrder: "place", CancelOrder: "cancel", CancelAllOrders: "cancel_all", MoveFunds: "move"}
)


class Book(NamedTuple):
    """The book of an instrument is asked for."""

    instrument_id: int
    levels_max: int


class OpenOrders(NamedTuple):
    """An account's open orders are asked for: of one instrument, or of all."""

    account_id: int
    instrument_id: int | None


class Ask(NamedTuple):
    """Something a shard is asked, once: its number is the asking process' own, never used again.

    After `until_ms`, in milliseconds since 1970, it is carried out by nobody any more.
    """

    number: int
    until_ms: int
    shard: int
    written: list[_Written]
    book: Book | None = None
    open_orders: OpenOrders | None = None

    @property
    def commands(self) -> list[Command]:
        """Return what is to be carried out, where nothing is to be looked at."""
        return [command for _, command in self.written]


class Placed(NamedTuple):
    """What became of an order: all but the order itself."""

    id: int
    executed: int
    value: int
    status: OrderStatus
    created_at: datetime


class Refusal(NamedTuple):
    """A refusal by its slug."""

    slug: str
    detail: str
    facts: dict[str, JsonValue]
    retry_after_seconds: int | None


_Answered = (
    tuple[Literal["placed"], Placed]
    | tuple[Literal["done"], Done]
    | tuple[Literal["refused"], Refusal]
)


class Reply(NamedTuple):
    """What the asker is told under the number of its ask: answers, what was seen, or a refusal."""

    number: int
    answers: list[_Answered] | None = None
    book: Depth | None = None
    refusal: Refusal | None = None
    open_orders: list[int] | None = None


class Message(NamedTuple):
    """A letter that was read."""

    sender: str
    asks: list[Ask]
    replies: list[Reply]


class LetterUnreadable(Exception):
    """A letter is not of the form this code knows."""


_ASK: Final = TypeAdapter(Ask)
_REPLY: Final = TypeAdapter(Reply)
_MESSAGE: Final = TypeAdapter(Message)


def commands_ask(number: int, until_ms: int, shard: int, commands: Sequence[Command]) -> bytes:
    """Return the text of an ask to carry commands out."""
    written = [(_KINDS[type(each)], each) for each in commands]
    return _ASK.dump_json(Ask(number, until_ms, shard, written))  # type: ignore[arg-type]


def book_ask(number: int, until_ms: int, shard: int, book: Book) -> bytes:
    """Return the text of an ask for a book."""
    return _ASK.dump_json(Ask(number, until_ms, shard, [], book))


def open_orders_ask(number: int, until_ms: int, shard: int, asked: OpenOrders) -> bytes:
    """Return the text of an ask for an account's open orders."""
    return _ASK.dump_json(Ask(number, until_ms, shard, [], open_orders=asked))


def answers_reply(number: int, answers: Sequence[Answer]) -> bytes:
    """Return the text of a reply to commands."""
    return _REPLY.dump_json(Reply(number, [_answered(each) for each in answers]))


def book_reply(number: int, depth: Depth) -> bytes:
    """Return the text of a reply with a book."""
    return _REPLY.dump_json(Reply(number, book=depth))


def open_orders_reply(number: int, ids: list[int]) -> bytes:
    """Return the text of a reply with the ids of open orders."""
    return _REPLY.dump_json(Reply(number, open_orders=ids))


def refusal_reply(number: int, refusal: StrongroomError) -> bytes:
    """Return the text of a reply that refuses all that was asked."""
    return _REPLY.dump_json(Reply(number, refusal=_refusal(refusal)))


def letter_body(sender: str, asks: Sequence[bytes], replies: Sequence[bytes]) -> bytes:
    """Return the text of a letter with these asks and replies."""
    return b'["%s",[%s],[%s]]' % (sender.encode(), b",".join(asks), b",".join(replies))


def read_letter(body: bytes) -> Message:
    """Return what a letter says.

    Raises:
        LetterUnreadable: it is none of ours, or of another version.
    """
    try:
        return _MESSAGE.validate_json(body, strict=True)
    except ValidationError:
        # Its text would quote what was asked.
        raise LetterUnreadable from None


def read_answers(commands: Sequence[Command], reply: Reply) -> list[Answer]:
    """Return what became of the commands that were asked.

    Raises:
        LetterUnreadable: these are not answers to them.
    """
    answers = reply.answers
    if answers is None or len(commands) != len(answers):
        raise LetterUnreadable
    return [_answer(command, each) for command, each in zip(commands, answers, strict=True)]


def read_refusal(refusal: Refusal) -> StrongroomError:
    """Return the refusal that was told. One we do not know says that the outcome is unknown."""
    kind = _REFUSALS.get(refusal.slug, OrderOutcomeUnknown)
    return kind(
        refusal.detail, facts=refusal.facts, retry_after_seconds=refusal.retry_after_seconds
    )


def _answered(answer: Answer) -> _Answered:
    if isinstance(answer, Known):
        known = Placed(answer.id, answer.executed, answer.value, answer.status, answer.created_at)
        return "placed", known
    if isinstance(answer, Done):
        return "done", answer
    return "refused", _refusal(answer)


def _answer(command: Command, answered: _Answered) -> Answer:
    kind, said = answered
    if isinstance(said, Placed) and isinstance(command, NewOrder):
        return Known(said.id, command, said.executed, said.value, said.status, said.created_at)
    if isinstance(said, Done) and not isinstance(command, NewOrder):
        return said
    if isinstance(said, Refusal):
        return read_refusal(said)
    raise LetterUnreadable(kind)


def _refusal(refusal: StrongroomError) -> Refusal:
    return Refusal(refusal.slug, refusal.detail, refusal.facts, refusal.retry_after_seconds)


def _kinds(parent: type[StrongroomError]) -> Iterator[type[StrongroomError]]:
    yield parent
    for child in parent.__subclasses__():
        yield from _kinds(child)


_REFUSALS: Final = MappingProxyType({each.slug: each for each in _kinds(StrongroomError)})
