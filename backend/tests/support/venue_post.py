"""Processes of a venue that talk through a real Valkey, with engines that stand in for real ones.

The stand-ins share one `Books`, as real ones share a database: what has a name is done once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import SecretStr

from backend.app.clock import Clock, utc_now
from backend.app.errors import ClientOrderIdTaken, EngineElsewhere, OrderNotOpen
from backend.app.services.keyed_hash import KeyedHash
from backend.app.services.venue.correspondence import Patience, VenueCorrespondence
from backend.app.services.venue.desk import Answer, Depth, Known
from backend.app.services.venue.leaders import VenueLeaders
from backend.app.services.venue.mailbox import Mailbox
from backend.app.services.venue.remote import RemoteVenue
from backend.app.services.venue.router import LeadingDesk
from backend.app.services.venue.seal import Seal
from backend.app.services.venue.streams import VenueStreams
from backend.app.services.venue.wire import letter_body
from backend.app.venue.batch import Done, OrderStatus
from backend.app.venue.commands import CancelAllOrders, Command, MoveFunds, NewOrder
from backend.app.workers.venue_courier import VenueCourier

SECRET = SecretStr("0123456789abcdef" * 4)
SHARD = 1
_PLACED_AT = datetime(2026, 11, 21, tzinfo=UTC)
_SECONDS_MAX = 60.0
_TELL_SECONDS = 0.02
# As long as a courier puts up with. A slow machine loses nothing, and asks nothing twice.
PATIENT: Final = Patience(ask_seconds_max=14, leaderless_seconds_max=14, ask_again_seconds=60)
ASKS_AGAIN_SOON: Final = Patience(14, 14, ask_again_seconds=0.05)


class Books:
    """What the engines of a shard have done together."""

    def __init__(self) -> None:
        self.orders: dict[tuple[int, str | None], Known] = {}
        self.moved: dict[tuple[int, str], MoveFunds] = {}
        self.open: list[int] = []
        self.cancelled: list[tuple[int, ...]] = []
        self.asked: list[Command] = []

    def carry_out(self, command: Command) -> Answer:
        """Do what is asked, once."""
        self.asked.append(command)
        if isinstance(command, NewOrder):
            return self._place(command)
        if isinstance(command, MoveFunds):
            self.moved.setdefault((command.account_id, command.reference), command)
            return Done(7)
        if isinstance(command, CancelAllOrders):
            gone, self.open = tuple(self.open), []
        elif command.order_id in self.open:
            self.open.remove(command.order_id)
            gone = (command.order_id,)
        else:
            return OrderNotOpen()
        self.cancelled.append(gone)
        return Done(8, gone)

    def _place(self, order: NewOrder) -> Answer:
        name = order.account_id, order.client_order_id
        if name not in self.orders:
            number = len(self.orders) + 1
            self.orders[name] = Known(number, order, 0, 0, OrderStatus.OPEN, _PLACED_AT)
            self.open.append(number)
        known = self.orders[name]
        return known if known.order == order else ClientOrderIdTaken()


class StandInEngine:
    """Leads when told to; holds what it is asked while `is_held`, as a slow commit would."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.is_leading = False
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.holds: list[Command] = []
        self.defect: Exception | None = None

    async def carry_out(self, commands: Sequence[Command]) -> list[Answer]:
        """Do what is asked, all of it together."""
        if not self.is_leading:
            raise EngineElsewhere(retry_after_seconds=1)
        if self.defect is not None:
            raise self.defect
        self.holds += commands
        await self.may_go.wait()
        return [self.books.carry_out(each) for each in commands]

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        """Return ids that say what was asked."""
        if not self.is_leading:
            raise EngineElsewhere(retry_after_seconds=1)
        return [account_id, instrument_id or 0]

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        """Return a book that says what was asked."""
        if not self.is_leading:
            raise EngineElsewhere(retry_after_seconds=1)
        return Depth([(instrument_id, levels_max)], [])


class MeddlingStreams(VenueStreams):
    """A post that loses and doubles letters, as told; none because the machine is slow."""

    def __init__(self, url: str) -> None:
        super().__init__(url, _SECONDS_MAX)
        self.copies: Callable[[bytes], int] = lambda _: 1
        self.seen: list[tuple[str, bytes]] = []

    async def send(self, letters: Sequence[tuple[str, bytes]]) -> None:
        """Send each letter as often as it is said to."""
        self.seen += letters
        sent = [each for each in letters for _ in range(self.copies(each[1]))]
        if sent:
            await super().send(sent)


class Party:
    """One process of a venue: its engine may lead, and it may ask who does."""

    def __init__(
        self,
        streams: VenueStreams,
        engine: LeadingDesk,
        now: Clock = utc_now,
        secret: SecretStr = SECRET,
        patience: Patience = PATIENT,
    ) -> None:
        self.seal = Seal(KeyedHash(secret, "venue-seal"))
        self.streams = streams
        self.mailbox = Mailbox(streams, self.seal)
        self.leaders = VenueLeaders(streams, self.seal, self.mailbox.name, (SHARD,))
        self.courier = VenueCourier({SHARD: engine}, self.mailbox, self.leaders, now)
        self.correspondence = VenueCorrespondence(self.mailbox, self.leaders, now, patience)
        self.remote = RemoteVenue(SHARD, self.correspondence)
        self.is_leaving = False

    async def tell(self) -> None:
        """Say and learn who leads, as the worker does again and again."""
        while not self.is_leaving:
            await self.courier.tick()
            await asyncio.sleep(_TELL_SECONDS)

    async def knows_a_leader(self) -> None:
        """Wait until there is somebody to ask."""
        await self.is_heard()
        await until(lambda: self.leaders.of(SHARD) is not None)

    async def is_heard(self) -> None:
        """Wait until letters arrive."""
        name = self.mailbox.name
        # At an empty mailbox the first look takes half a second.
        nothing = self.seal.close(name, letter_body(name, [], []))
        await VenueStreams.send(self.streams, [(name, nothing)])
        await until(lambda: self.mailbox.is_heard)


@asynccontextmanager
async def party(streams: VenueStreams, engine: LeadingDesk, **how: Any) -> AsyncIterator[Party]:
    """Run a process of a venue until the block ends; it then leaves without a word."""
    one = Party(streams, engine, **how)
    one.mailbox.start(one.courier.hear, one.correspondence.hear)
    telling = asyncio.create_task(one.tell())
    try:
        yield one
    finally:
        one.is_leaving = True
        await telling
        await one.mailbox.stop()
        await one.courier.close()
        await streams.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what happens beside the test; fail if it does not."""
    async with asyncio.timeout(_SECONDS_MAX):
        while not is_so():
            await asyncio.sleep(0.005)
