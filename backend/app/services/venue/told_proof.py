"""What the feed has told, held against the journal: its messages made anew, byte for byte.

The feed tells states, cut where its steps happened to end (decision 27), and what it told is kept
for a while. So each message says where it ends, and the journal says what belongs there:

- trades and fills: all since the message before, the newest of them where there are too many;
- orders: each as it stood after an entry of the journal, and none left out;
- books: each as it stood between two batches, one after the other.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from backend.app.channel_message import BOOK, ORDERS, TRADES
from backend.app.models.venue import Fill, Trade
from backend.app.repositories import venue_proof
from backend.app.repositories.venue_proof import Entry, Place
from backend.app.services.venue import market_shown, order_shown
from backend.app.services.venue.amounts import in_decimal
from backend.app.services.venue.spot_markets import Markets
from backend.app.services.venue.stands import Stands
from backend.app.services.venue.told_books import ToldBooks
from backend.app.services.venue.told_orders import ToldOrders
from backend.app.services.venue.told_runs import Body, Run, ToldRuns
from backend.app.venue.batch import Batch
from backend.app.venue.batch import Fill as FillMade
from backend.app.venue.batch import Trade as TradeMade
from backend.app.venue.books import Books
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument

_KINDS: Final = (TRADES, BOOK, ORDERS)


class ToldProof:
    """All messages that are kept of what a shard's feed has told."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._markets = Markets(instruments)
        self._orders = ToldOrders(self._markets)
        self._books: dict[int, ToldBooks] = {}
        self._trades: dict[int, ToldRuns] = {}
        self._fills: dict[int, ToldRuns] = {}
        self._place = Place(0, 0)
        self._user_ids: set[int] = set()

    async def read(self, connection: Any, shard: int) -> str | None:
        """Read the messages; return the first that cannot be the feed's, in words."""
        place = await venue_proof.place(connection, shard)
        if place is None:
            return None
        self._place = place
        for channel, last in (await venue_proof.heads(connection, _KINDS)).items():
            messages = await venue_proof.messages(connection, channel)
            for due, (seq, _) in enumerate([*messages, (last + 1, "")], start=messages[0][0]):
                if seq != due:
                    return f"message {due} of {channel} is not stored"
            try:
                self._expect(channel, [(seq, json.loads(body)) for seq, body in messages])
            except (KeyError, TypeError, ValueError, AttributeError):
                return f"a message of {channel} is not of the form the feed writes"
        self._user_ids = await venue_proof.users(connection, self._fills.keys())
        return None

    def begin(self, books: Books) -> None:
        """Look at the books before the first entry of the journal."""
        for each in self._books.values():
            each.add(books)

    def add(self, entry: Entry, batch: Batch, books: Books, stands: Stands) -> str | None:
        """Let an entry bring about what it does; return the first difference, in words."""
        self._orders.add(batch, entry.sequence, entry.at, stands)
        for each in self._books.values():
            each.add(books)
        for trade in batch.trades:
            runs = self._trades.get(trade.instrument_id)
            if runs is not None:
                found = runs.add((trade.id,), partial(self._trade, trade, entry.at))
                if found is not None:
                    return found
        # A user is told of his sides by trade, then by order.
        for fill in sorted(batch.fills, key=lambda each: (each.trade_id, each.order_id)):
            runs = self._fills.get(fill.account_id)
            if runs is not None:
                number = fill.trade_id, fill.order_id
                found = runs.add(number, partial(self._fill, fill, entry.at))
                if found is not None:
                    return found
        return None

    def missing(self, stands: Stands) -> str | None:
        """Return the first difference that only the end of the journal shows, in words."""
        place = self._place
        for user_id, fills in self._fills.items():
            # Who is gone was not told of what came later.
            until = place.trade_id if user_id in self._user_ids else 0
            if (found := fills.missing(until)) is not None:
                return found
        for trades in self._trades.values():
            if (found := trades.missing(place.trade_id)) is not None:
                return found
        for books in self._books.values():
            if (found := books.missing()) is not None:
                return found
        return self._orders.missing(place.sequence, self._user_ids, stands)

    def _expect(self, channel: str, messages: Sequence[tuple[int, Body]]) -> None:
        kind, _, name = channel.partition(":")
        if kind == ORDERS:
            user_id = int(name)
            fills = [Run(seq, body["fills"], body["more"]) for seq, body in messages]
            ids = ("trade_id", "order_id")
            self._fills[user_id] = ToldRuns(channel, ids, fills, only_these=False)
            for seq, body in messages:
                self._orders.expect(user_id, seq, body["orders"], more=body["more"])
        elif kind == TRADES:
            trades = [Run(seq, body["trades"], body["more"]) for seq, body in messages]
            market = self._market(name)
            self._trades[market.id] = ToldRuns(channel, ("id",), trades, only_these=True)
        else:
            books = self._books[self._market(name).id] = ToldBooks(self._market(name))
            for seq, body in messages:
                books.expect(seq, body)

    def _market(self, symbol: str) -> Instrument:
        market = self._markets.find(symbol)
        if market is None:
            raise KeyError(symbol)
        return market

    def _trade(self, made: TradeMade, at: datetime) -> Body:
        row = Trade(**made._asdict(), traded_at=at)
        shown = market_shown.trade(self._markets.by_id[made.instrument_id], row)
        return shown.model_dump(mode="json")

    def _fill(self, made: FillMade, at: datetime) -> Body:
        row = Fill(
            **made._asdict() | {"fee": in_decimal(made.fee, ATOMS_PER_UNIT)},
            traded_at=at,
        )
        shown = order_shown.fill(self._markets.by_id[made.instrument_id], row)
        return shown.model_dump(mode="json")
