"""SQL for the feed of a shard: what was committed since it told last, and how far it has told.

The place of the feed moves in the transaction of what it tells, and only from where it was read:
so everything is told once, whoever else tries meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Text,
    and_,
    cast,
    column,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from backend.app.models.user import User
from backend.app.models.venue import Fill, Order, VenueFeedPlace, VenueJournalEntry
from backend.app.repositories.array_text import array_text
from backend.app.repositories.venue_reading import first_number
from backend.app.venue.batch import OrderStatus

# The trades of every instrument of the shard, by the key of each: no index holds them together.
_TRADES: Final = text("""
SELECT traded.id, traded.instrument_id, traded.maker_order_id, traded.taker_order_id,
    traded.taker_side, traded.price, traded.quantity, traded.traded_at
FROM instruments CROSS JOIN LATERAL (
    SELECT * FROM trades WHERE instrument_id = instruments.id AND id > :after
    ORDER BY id LIMIT :rows
) AS traded
WHERE instruments.shard = :shard ORDER BY traded.id LIMIT :rows
""")

_Column = InstrumentedAttribute[int]


class FeedMoved(Exception):
    """Somebody else has told meanwhile what we were about to tell."""


class Place(NamedTuple):
    """How far a shard was told: the last entry of its journal, and its last trade."""

    sequence: int
    trade_id: int


class Span(NamedTuple):
    """Some entries of the journal: the numbers they gave, and the older orders they changed."""

    sequence: int
    """The last of the entries."""
    first: int
    beyond: int
    changed: Sequence[int]
    until: datetime
    is_last: bool


class ToldTrade(NamedTuple):
    """A trade, plain: with the model of each, telling took twice as long (bench/orders_http.py)."""

    id: int
    instrument_id: int
    maker_order_id: int
    taker_order_id: int
    taker_side: str
    price: int
    quantity: int
    traded_at: datetime


class ToldOrder(NamedTuple):
    """An order, and how many of its account's there are, filled ones too."""

    order: Order
    orders: int
    filled: int


class ToldFill(NamedTuple):
    """A fill, and how many of its account's there are."""

    fill: Fill
    fills: int


class VenueFeedRepository:
    """What one shard has brought about, in the order in which it was committed."""

    def __init__(self, session: AsyncSession, shard: int) -> None:
        self._session = session
        self._shard = shard

    async def place(self) -> Place:
        """Return how far was told."""
        found = await self._session.execute(
            select(VenueFeedPlace.sequence, VenueFeedPlace.trade_id).where(
                VenueFeedPlace.shard == self._shard
            )
        )
        return Place(*found.one())

    async def span(self, after: int, entries_max: int, numbers_max: int) -> Span | None:
        """Return the next entries of the journal: so many, or one if it alone has more numbers."""
        found = await self._session.execute(
            select(
                VenueJournalEntry.sequence,
                VenueJournalEntry.first_number,
                VenueJournalEntry.at,
                VenueJournalEntry.changed,
            )
            .where(VenueJournalEntry.shard == self._shard, VenueJournalEntry.sequence > after)
            .order_by(VenueJournalEntry.sequence)
            .limit(entries_max + 1)
        )
        entries = found.all()
        if not entries:
            return None
        first = entries[0].first_number
        taken = [each for each in entries[:entries_max] if each.first_number - first <= numbers_max]
        # Where an entry's numbers end, only the next one says; after the last there are none.
        rest = entries[len(taken) :]
        return Span(
            sequence=taken[-1].sequence,
            first=first,
            beyond=rest[0].first_number if rest else first_number(self._shard + 1),
            changed=[number for each in taken for number in each.changed or ()],
            until=max(each.at for each in taken),
            is_last=not rest,
        )

    async def trades(self, after: int, rows_max: int) -> Sequence[ToldTrade]:
        """Return the next trades of the shard, in their order."""
        asked = {"shard": self._shard, "after": after, "rows": rows_max}
        found = await self._session.execute(_TRADES, asked)
        return [ToldTrade._make(row) for row in found]

    async def instrument_ids(self, span: Span) -> Sequence[int]:
        """Return whose books may have changed."""
        found = await self._session.scalars(
            select(Order.instrument_id).where(_touched(span)).distinct()
        )
        return found.all()

    async def orders(self, span: Span, rows_max: int, each_max: int) -> Sequence[ToldOrder]:
        """Return users' orders that were placed or changed, as they stand: the newest of each user.

        At most `rows_max`, shared alike, but one of each user; and `each_max` of one.

        Those that changed again later are not among them: they are told then.
        """
        ranked = (
            select(
                Order,
                _place_of(Order.account_id, Order.id).label("place"),
                _count_of(Order.account_id).label("orders"),
                _count_of(Order.account_id, Order.status == OrderStatus.FILLED.value).label(
                    "filled"
                ),
            )
            .join(User, User.id == Order.account_id)
            .where(_touched(span), Order.updated_at <= span.until)
            .cte("ranked")
        )
        order = aliased(Order, ranked)
        found = await self._session.execute(
            select(order, ranked.c.orders, ranked.c.filled)
            .where(ranked.c.place <= _share(ranked, rows_max, each_max))
            .order_by(ranked.c.updated_at, ranked.c.id)
        )
        return [ToldOrder(*row) for row in found]

    async def fills(
        self, trades: Sequence[ToldTrade], rows_max: int, each_max: int
    ) -> Sequence[ToldFill]:
        """Return users' sides of some trades: the newest of each user, in the same numbers."""
        order_ids = [each.maker_order_id for each in trades]
        order_ids += [each.taker_order_id for each in trades]
        trade_ids = [each.id for each in trades]
        wanted = (
            func.unnest(_numbers(order_ids), _numbers(trade_ids * 2))
            .table_valued(column("order_id", BigInteger), column("trade_id", BigInteger))
            .render_derived(name="wanted")
        )
        ranked = (
            select(
                Fill,
                _place_of(Fill.account_id, Fill.trade_id).label("place"),
                _count_of(Fill.account_id).label("fills"),
            )
            .join(
                wanted,
                and_(Fill.order_id == wanted.c.order_id, Fill.trade_id == wanted.c.trade_id),
            )
            .join(User, User.id == Fill.account_id)
            .cte("ranked")
        )
        fill = aliased(Fill, ranked)
        found = await self._session.execute(
            select(fill, ranked.c.fills)
            .where(ranked.c.place <= _share(ranked, rows_max, each_max))
            .order_by(ranked.c.trade_id, ranked.c.order_id)
        )
        return [ToldFill(*row) for row in found]

    async def hold_users(self, user_ids: Collection[int]) -> set[int]:
        """Return those who are still there, and let none of them go until the block ends."""
        found = await self._session.scalars(
            select(User.id)
            .where(User.id.in_(user_ids))
            .order_by(User.id)
            .with_for_update(read=True, key_share=True)
        )
        return set(found)

    async def move(self, seen: Place, to: Place) -> None:
        """Go on from the place that was read.

        Raises:
            FeedMoved: somebody else has gone on from there.
        """
        moved = await self._session.execute(
            update(VenueFeedPlace)
            .where(
                VenueFeedPlace.shard == self._shard,
                VenueFeedPlace.sequence == seen.sequence,
                VenueFeedPlace.trade_id == seen.trade_id,
            )
            .values(sequence=to.sequence, trade_id=to.trade_id)
            .returning(VenueFeedPlace.shard)
        )
        if moved.one_or_none() is None:
            raise FeedMoved


def _touched(span: Span) -> ColumnElement[bool]:
    placed = and_(Order.id >= span.first, Order.id < span.beyond)
    return or_(placed, Order.id == func.any(literal(list(span.changed), ARRAY(BigInteger))))


def _place_of(whose: _Column, order: _Column) -> ColumnElement[int]:
    return func.row_number().over(partition_by=whose, order_by=order.desc())


def _count_of(whose: _Column, *which: ColumnElement[bool]) -> ColumnElement[int]:
    counted = func.count().filter(*which) if which else func.count()
    return counted.over(partition_by=whose)


def _share(ranked: CTE, rows_max: int, each_max: int) -> ColumnElement[int]:
    # As many first places as there are users.
    users = select(func.count()).where(ranked.c.place == 1).scalar_subquery()
    return func.greatest(1, func.least(each_max, rows_max / func.greatest(1, users)))


def _numbers(numbers: Iterable[int]) -> ColumnElement[Sequence[int]]:
    return cast(cast(array_text(numbers), Text), ARRAY(BigInteger))
