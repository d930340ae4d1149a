"""The venue, as the doors ask for it: one durable market behind all eight.

Prices, candles and the ticker run along the path and move when nobody trades. Orders, trades,
books and money are the venue's.
"""

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Final

from backend.app.clock import utc_now
from backend.app.database import Database
from backend.app.errors import OrderNotOpen, PostOnlyWouldTake, StrongroomError, Unavailable
from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import (
    Deposit,
    Fill,
    LedgerLine,
    Level,
    Order,
    OrderBook,
    OrderRequest,
    PublicTrade,
    Ticker,
    TimeInForce,
)
from backend.app.models.venue import Fill as FillRow
from backend.app.repositories.venue_account_repository import PaidOrder, VenueAccountRepository
from backend.app.repositories.venue_repository import VenueRepository
from backend.app.repositories.wallet_repository import WalletRepository
from backend.app.sandbox import venue_words
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.ledger_lines import ledger_lines
from backend.app.sandbox.listings import VENUE_FEE
from backend.app.sandbox.order_rules import PRICE_RATIO_MAX, check_numbers, check_size
from backend.app.sandbox.patient_desk import PatientDesk
from backend.app.sandbox.priced_markets import PricedMarkets
from backend.app.sandbox.turned_away import TurnedAway
from backend.app.sandbox.venue_accounts import VenueAccounts
from backend.app.services.venue.desk import VenueDesk
from backend.app.services.venue.open_orders import open_ids
from backend.app.services.venue.remote import MADE_NAME
from backend.app.services.venue.spot_markets import SpotMarkets
from backend.app.venue.batch import Done
from backend.app.venue.commands import CancelOrder, Command
from backend.app.venue.instruments import Instrument

ORDERS_MAX: Final = 1_000
FILLS_MAX: Final = 1_000
TRANSFERS_MAX: Final = 1_000
LEVELS_MAX: Final = 1_000
PUBLIC_TRADES_MAX: Final = 1_000


class VenueWorld(PricedMarkets):
    """A World whose orders and money are kept by the venue; its accounts are venue accounts."""

    def __init__(
        self,
        seed: bytes,
        now_ms: Callable[[], int],
        accounts: Sequence[SeededAccount],
        desk: VenueDesk,
        database: Database,
    ) -> None:
        super().__init__(seed, now_ms, accounts, VENUE_FEE)
        self._desk = PatientDesk(desk)
        self._database = database
        self._owners = VenueAccounts(accounts, self._desk, database)
        self._markets = SpotMarkets(database, utc_now)
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
        """Return the best levels of the venue's committed book.

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

    async def public_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade]:
        """Return the last trades, the newest first.

        Raises:
            OrderRefused: unknown_symbol.
        """
        instrument = await self._instrument(symbol)
        async with self._database.snapshot() as session:
            rows = await VenueRepository(session).trades(
                instrument.id, None, max(1, min(limit, PUBLIC_TRADES_MAX))
            )
        return tuple(venue_words.public_trade(instrument, row) for row in rows)

    async def balances(self, account_id: str) -> Sequence[Balance]:
        """Return what an account holds, of every asset it ever held."""
        owner = await self._owners.id_of(account_id)
        async with self._database.snapshot() as session:
            held = await WalletRepository(session).holdings(owner)
        return tuple(Balance(*each) for each in held)

    async def place(self, account_id: str, asked: OrderRequest) -> Order:
        """Take an order.

        Raises:
            OrderRefused: with the rule it broke; nothing has moved then.
        """
        instrument = await self._instrument(asked.symbol)
        self._check(asked)
        owner = await self._owners.id_of(account_id)
        if asked.client_order_id is not None:
            await self._require_new(owner, asked.client_order_id)
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
        turned_away = self._turned_away.find(account_id, order_id)
        if turned_away is not None:
            return turned_away
        owner = await self._owners.id_of(account_id)
        async with self._database.snapshot() as session:
            found = await VenueAccountRepository(session).order(owner, order_id)
        if found is None:
            raise OrderRefused("order_not_found")
        return (await self._orders([found]))[0]

    async def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return an account's open orders, the oldest first."""
        owner, instrument_id = await self._owners.id_of(account_id), await self._id_of(symbol)
        among = await open_ids(self._desk, owner, instrument_id)
        async with self._database.snapshot() as session:
            found = await VenueAccountRepository(session).open_orders(
                owner, instrument_id, ORDERS_MAX, among=among
            )
        return await self._orders(found)

    async def orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return an account's last orders, the oldest first."""
        owner, instrument_id = await self._owners.id_of(account_id), await self._id_of(symbol)
        async with self._database.snapshot() as session:
            found = await VenueAccountRepository(session).orders(owner, instrument_id, ORDERS_MAX)
        known = (*await self._orders(found), *self._turned_away.of(account_id, symbol))
        return tuple(sorted(known, key=lambda order: (order.created_ms, order.order_id)))

    async def order_news(
        self, account_id: str, after_id: int, watched: Collection[int]
    ) -> Sequence[Order]:
        """Return the orders numbered above `after_id`, and the watched ones; the oldest first."""
        owner = await self._owners.id_of(account_id)
        async with self._database.snapshot() as session:
            found = await VenueAccountRepository(session).order_news(
                owner, after_id, watched, ORDERS_MAX
            )
        return await self._orders(found)

    async def fills(
        self, account_id: str, symbol: str | None = None, order_id: int | None = None
    ) -> Sequence[Fill]:
        """Return what an account has traded, the oldest first."""
        owner, instrument_id = await self._owners.id_of(account_id), await self._id_of(symbol)
        async with self._database.snapshot() as session:
            found = await VenueRepository(session).fills(
                owner, instrument_id=instrument_id, order_id=order_id, rows_max=FILLS_MAX
            )
        return await self._fills(found)

    async def deposits(self, account_id: str, asset: str | None = None) -> Sequence[Deposit]:
        """Return what an account was given, the oldest first."""
        owner = await self._owners.id_of(account_id)
        async with self._database.snapshot() as session:
            found = await VenueAccountRepository(session).transfers(owner, TRANSFERS_MAX)
        return tuple(
            venue_words.deposit(row)
            for row in reversed(found)
            if row.amount > 0 and asset in (None, row.asset)
        )

    async def ledger(self, account_id: str, asset: str | None = None) -> Sequence[LedgerLine]:
        """Return every change of what an account holds, the oldest first."""
        owner = await self._owners.id_of(account_id)
        async with self._database.snapshot() as session:
            past = VenueAccountRepository(session)
            held = await WalletRepository(session).holdings(owner)
            transfers = await past.transfers(owner, TRANSFERS_MAX)
            fills = await VenueRepository(session).fills(owner, rows_max=FILLS_MAX)
        lines = ledger_lines(
            [Balance(*each) for each in held],
            [venue_words.deposit(row) for row in transfers],
            await self._fills(fills),
        )
        return tuple(line for line in lines if asset in (None, line.asset))

    async def _told(self, command: Command) -> int:
        """Return the number a command was carried out under.

        Raises:
            OrderRefused: with the rule it broke.
            PostOnlyWouldTake, OrderNotOpen: as they say.
            Unavailable: the venue takes no commands now.
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

    async def _require_new(self, owner: int, client_order_id: str) -> None:
        async with self._database.snapshot() as session:
            known = await VenueAccountRepository(session).has_named(owner, client_order_id)
        if known:
            raise OrderRefused("duplicate_client_order_id")

    async def _orders(self, rows: Sequence[PaidOrder]) -> Sequence[Order]:
        instruments = (await self._markets.all()).by_id
        traded = [(instruments[row.order.instrument_id], row) for row in reversed(rows)]
        return tuple(venue_words.order(self.market(of.symbol), of, row) for of, row in traded)

    async def _fills(self, rows: Sequence[FillRow]) -> Sequence[Fill]:
        instruments = (await self._markets.all()).by_id
        traded = [(instruments[row.instrument_id], row) for row in reversed(rows)]
        return tuple(venue_words.fill(self.market(of.symbol), of, row) for of, row in traded)

    async def _instrument(self, symbol: str) -> Instrument:
        found = (await self._markets.all()).find(symbol)
        if found is None:
            raise OrderRefused("unknown_symbol")
        return found

    async def _id_of(self, symbol: str | None) -> int | None:
        return None if symbol is None else (await self._instrument(symbol)).id
