"""What everybody was told of one book: a picture now and then, in the order of time."""

from collections import deque
from typing import NamedTuple

from backend.app.channel_message import book_channel
from backend.app.services.venue import market_shown
from backend.app.services.venue.desk import Depth
from backend.app.services.venue.told_runs import Body, in_bytes
from backend.app.services.venue.venue_feed import BOOK_LEVELS_TOLD
from backend.app.venue.books import Books
from backend.app.venue.instruments import Instrument
from backend.app.venue.orders import Side


class _Picture(NamedTuple):
    seq: int
    best: bytes
    whole: bytes


class ToldBooks:
    """The pictures of one market's book, each waiting for the moment at which it was true."""

    def __init__(self, market: Instrument) -> None:
        self._market = market
        self._pictures: deque[_Picture] = deque()

    def expect(self, seq: int, body: Body) -> None:
        """Note what a message has shown.

        Raises:
            KeyError, TypeError: it is not of the form the feed writes.
        """
        best = {**body, "bids": body["bids"][:1], "asks": body["asks"][:1]}
        self._pictures.append(_Picture(seq, in_bytes(best), in_bytes(body)))

    def add(self, books: Books) -> None:
        """Look at the book as it is between two batches."""
        # Most books differ in their best prices already.
        while (
            self._pictures
            and self._pictures[0].best == self._shown(books, 1)
            and self._pictures[0].whole == self._shown(books, BOOK_LEVELS_TOLD)
        ):
            self._pictures.popleft()

    def missing(self) -> str | None:
        """Return, in words, which message shows a book that never was."""
        for each in self._pictures:
            channel = book_channel(self._market.symbol)
            return f"message {each.seq} of {channel} shows a book that never was, or not then"
        return None

    def _shown(self, books: Books, levels_max: int) -> bytes:
        bids, asks = (books.depth(self._market.id, side, levels_max) for side in Side)
        return in_bytes(market_shown.book(self._market, Depth(bids, asks)).model_dump(mode="json"))
