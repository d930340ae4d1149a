"""Tells what the spot markets have committed: candles, channels, notifications.

It follows the journal and the trades as they stand in PostgreSQL, with a place of its own, beside
the engine and never on its way. Each step is bounded. Candles come first, which take a trade twice
without harm; what else is told is written in the one transaction that moves the place: so all of it
is told once, whenever this is killed, and whoever else tries meanwhile.

Source: docs/decisions/0027-the-feed-follows-the-journal.md
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from backend.app.candle_numbers import Trade as CandleTrade
from backend.app.channel_message import Message, book_channel
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import EngineElsewhere, VenueBusy
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.repositories.venue_feed_repository import (
    FeedMoved,
    Place,
    Span,
    VenueFeedRepository,
)
from backend.app.services.live.announcer import Announcer
from backend.app.services.venue import market_shown
from backend.app.services.venue.desk import Depth, VenueDesk
from backend.app.services.venue.feed_news import (
    TOLD_AT_ONCE_MAX,
    News,
    candle_trades,
    notifications,
    own_messages,
    own_news,
    trade_messages,
)
from backend.app.services.venue.spot_markets import SPOT_SHARD, Markets, ShardMarkets

ENTRIES_PER_STEP_MAX: Final = 200
NUMBERS_PER_STEP_MAX: Final = 50_000
"""Of the journal: so many batches, as long as they begin within so many commands."""
TRADES_PER_STEP_MAX: Final = 10_000
ROWS_TOLD_PER_STEP_MAX: Final = 500
"""Orders, and as many fills, of all users together: shared alike, but one of each."""
BOOK_LEVELS_TOLD: Final = 20
_TOLD_MAX: Final = (ROWS_TOLD_PER_STEP_MAX, TOLD_AT_ONCE_MAX)


class Candles(Protocol):
    """Makes candles of trades; whatever it is told twice counts once."""

    async def take(self, trades: Sequence[CandleTrade]) -> Any:
        """Keep trades and bring their candles up to date."""
        ...


class VenueFeed:
    """The feed of the spot markets."""

    def __init__(
        self,
        *,
        database: Database,
        markets: ShardMarkets,
        desk: VenueDesk,
        candles: Candles,
        announcer: Announcer,
        now: Clock,
    ) -> None:
        self._database = database
        self._markets = markets
        self._desk = desk
        self._candles = candles
        self._announcer = announcer
        self._now = now
        self._books_due: set[int] = set()
        self._books_told: dict[int, Depth] = {}

    async def step(self) -> bool:
        """Tell the next of what was committed; return whether there may be more.

        Raises:
            DatabaseUnavailable: later, then; nothing is lost, and nothing told twice.
        """
        async with self._database.snapshot() as session:
            repository = VenueFeedRepository(session, SPOT_SHARD)
            place = await repository.place()
            span = await repository.span(place.sequence, ENTRIES_PER_STEP_MAX, NUMBERS_PER_STEP_MAX)
            trades = await repository.trades(place.trade_id, TRADES_PER_STEP_MAX)
            news = News(
                await repository.orders(span, *_TOLD_MAX) if span else (),
                await repository.fills(trades, *_TOLD_MAX) if trades else (),
                trades,
            )
            if span:
                self._books_due |= set(await repository.instrument_ids(span))
        markets = await self._markets.all()
        await self._candles.take(candle_trades(markets, trades))
        is_last = len(trades) < TRADES_PER_STEP_MAX and (span is None or span.is_last)
        # Who is behind shows no book: it would be one of now beside news of then.
        books = await self._books() if is_last else {}
        with suppress(FeedMoved):
            messages = await self._tell(place, _after(place, span, news), markets, news, books)
            self._books_told |= books
            self._books_due -= set(books)
            await self._announcer.announce(messages)
        return not is_last or bool(self._books_due)

    async def _tell(
        self,
        place: Place,
        to: Place,
        markets: Markets,
        news: News,
        books: Mapping[int, Depth],
    ) -> list[Message]:
        async with self._database.transaction() as session:
            repository = VenueFeedRepository(session, SPOT_SHARD)
            if to != place:
                await repository.move(place, to)
            user_ids = await repository.hold_users(news.user_ids) if news.user_ids else set()
            own = own_news(markets, news, user_ids)
            # Its channels are locked before ours, here and wherever else both are.
            await NotificationRepository(session).add(*notifications(own, self._now()))
            return await ChannelRepository(session).publish_all(
                {
                    **trade_messages(markets, news.trades),
                    **own_messages(own),
                    **self._book_messages(markets, books),
                }
            )

    def _book_messages(
        self, markets: Markets, books: Mapping[int, Depth]
    ) -> dict[str, list[Mapping[str, Any]]]:
        changed = {
            markets.by_id[instrument_id]: depth
            for instrument_id, depth in books.items()
            if self._books_told.get(instrument_id) != depth
        }
        return {
            book_channel(market.symbol): [market_shown.book(market, depth).model_dump(mode="json")]
            for market, depth in changed.items()
        }

    async def _books(self) -> dict[int, Depth]:
        books = {}
        # Not at hand? Then with a later step: they stay due.
        with suppress(EngineElsewhere, VenueBusy):
            for instrument_id in sorted(self._books_due):
                books[instrument_id] = await self._desk.depth(instrument_id, BOOK_LEVELS_TOLD)
        return books


def _after(place: Place, span: Span | None, news: News) -> Place:
    return Place(
        place.sequence if span is None else span.sequence,
        news.trades[-1].id if news.trades else place.trade_id,
    )
