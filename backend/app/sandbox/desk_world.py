"""What the doors ask of a market, wherever it is kept: behind a desk of the venue's kind.

Prices, candles and the ticker run along the path and move when nobody trades. Books, orders and
money are the matching core's, in memory or durable.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from backend.app.errors import OrderNotOpen, PostOnlyWouldTake, StrongroomError, Unavailable
from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.market_values import (
    Level,
    Order,
    OrderBook,
    OrderRequest,
    Ticker,
    TimeInForce,
)
from backend.app.sandbox import venue_words
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.house import House
from backend.app.sandbox.order_rules import PRICE_RATIO_MAX, check_numbers, check_size
from backend.app.sandbox.priced_markets import PricedMarkets
from backend.app.sandbox.turned_away import TurnedAway
from backend.app.sandbox.venue_accounts import AccountOpener, VenueAccounts
from backend.app.services.venue.desk import VenueDesk
from backend.app.services.venue.remote import MADE_NAME
from backend.app.services.venue.spot_markets import Markets
from backend.app.venue.batch import Done
from backend.app.venue.commands import CancelOrder, Command
from backend.app.venue.instruments import Instrument

LEVELS_MAX: Final = 1_000


class DeskWorld(PricedMarkets, ABC):
    """A World that trades at a desk. What has happened there, a kind of its own looks up."""

    def __init__(
        self,
        houses: Sequence[House],
        now_ms: Callable[[], int],
        accounts: Sequence[SeededAccount],
        desk: VenueDesk,
        open_account: AccountOpener,
    ) -> None:
        super().__init__(houses, now_ms, accounts)
        self._desk = desk
        self._owners = VenueAccounts(accounts, desk, open_account)
        self._turned_away = TurnedAway()

    async def ticker(self, symbol: str) -> Ticker:
        """Return the last 24 hours of a market; where the book is empty, the path is quoted.

        Raises:
            OrderRefused: unknown_symbol.
        """
        now_ms = self._clock()
        house = self._house(symbol)
        book = await self.order_book(symbol, 1)
        last = house.path.price(now_ms)
        bid = book.bids[0] if book.bids else Level(last - house.gap, Decimal(0))
        ask = book.asks[0] if book.asks else Level(last + house.gap, Decimal(0))
        return self._ticker(house, bid, ask, now_ms)

    async def order_book(self, symbol: str, limit: int) -> OrderBook:
        """Return the best levels of the book.

        Raises:
            OrderRefused: unknown_symbol.
        """
        instrument = await self._instrument(symbol)
        depth = await self._desk.depth(instrument.id, max(1, min(limit, LEVELS_MAX)))
        return OrderBook(
            bids=venue_words.levels(instrument, depth.bids),
            asks=venue_words.levels(instrument, depth.asks),
            at_ms=self._clock(),
        )

    async def place(self, account_id: str, asked: OrderRequest) -> Order:
        """Take an order.

        Raises:
            OrderRefused: with the rule it broke; nothing has moved then.
        """
        instrument = await self._instrument(asked.symbol)
        self._check(asked)
        owner = await self._owners.id_of(account_id)
        await self._admit(owner, asked)
        try:
            placed = await self._told(venue_words.new_order(owner, instrument, asked))
        except PostOnlyWouldTake:
            if asked.refuse_forbidden:
                raise OrderRefused("would_trade") from None
            market = self.market(asked.symbol)
            return self._turned_away.keep(account_id, market, asked, self._clock())
        order = await self.order(account_id, placed)
        if asked.refuse_forbidden and asked.time_in_force is TimeInForce.FOK and not order.filled:
            raise OrderRefused("not_fillable")
        return order

    async def cancel(self, account_id: str, order_id: int) -> Order:
        """Take an open order back.

        Raises:
            OrderRefused: order_not_found.
        """
        known = await self.order(account_id, order_id)
        instrument = await self._instrument(known.market.symbol)
        owner = await self._owners.id_of(account_id)
        try:
            await self._told(CancelOrder(owner, instrument.id, order_id))
        except OrderNotOpen:
            raise OrderRefused("order_not_found") from None
        return await self.order(account_id, order_id)

    async def order(self, account_id: str, order_id: int) -> Order:
        """Return one order of an account.

        Raises:
            OrderRefused: order_not_found.
        """
        found = self._turned_away.find(account_id, order_id)
        if found is None:
            found = await self._kept_order(await self._owners.id_of(account_id), order_id)
        if found is None:
            raise OrderRefused("order_not_found")
        return found

    async def orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return what is remembered of an account's orders, the oldest first."""
        kept = await self._kept_orders(await self._owners.id_of(account_id), symbol)
        known = (*kept, *self._turned_away.of(account_id, symbol))
        return tuple(sorted(known, key=lambda order: (order.created_ms, order.order_id)))

    @abstractmethod
    async def _markets_now(self) -> Markets:
        """Return what is traded at the desk."""

    @abstractmethod
    async def _admit(self, owner: int, asked: OrderRequest) -> None:
        """Refuse an order for what its account has placed before.

        Raises:
            OrderRefused: duplicate_client_order_id or too_many_open_orders.
        """

    @abstractmethod
    async def _kept_order(self, owner: int, order_id: int) -> Order | None:
        """Return one of an account's orders at the desk, if it is remembered."""

    @abstractmethod
    async def _kept_orders(self, owner: int, symbol: str | None) -> Sequence[Order]:
        """Return what is remembered of an account's orders at the desk."""

    async def _instrument(self, symbol: str) -> Instrument:
        found = (await self._markets_now()).find(symbol)
        if found is None:
            raise OrderRefused("unknown_symbol")
        return found

    async def _id_of(self, symbol: str | None) -> int | None:
        return None if symbol is None else (await self._instrument(symbol)).id

    async def _told(self, command: Command) -> int:
        """Return the number a command was carried out under.

        Raises:
            OrderRefused: with the rule it broke.
            PostOnlyWouldTake, OrderNotOpen: as they say.
            Unavailable: the desk takes no commands now.
        """
        [answer] = await self._desk.carry_out((command,))
        if isinstance(answer, (Unavailable, PostOnlyWouldTake, OrderNotOpen)):
            raise answer
        if isinstance(answer, StrongroomError):
            raise OrderRefused(venue_words.rule_of(answer))
        return answer.number if isinstance(answer, Done) else answer.id

    def _check(self, asked: OrderRequest) -> None:
        house = self._house(asked.symbol)
        market = house.listing.market
        if (asked.client_order_id or "").startswith(MADE_NAME):
            raise OrderRefused("bad_number")
        check_numbers(market, asked, house.listing.middle_price * PRICE_RATIO_MAX)
        if asked.amount is None:
            amount, worth = market.min_amount, asked.quote_amount or Decimal(0)
        else:
            amount = asked.amount
            # What a market order will come to is not known yet: as elsewhere, the price tells.
            worth = amount * (asked.price or house.path.price(self._clock()))
        check_size(market, asked, amount, worth)
