"""The venue, as the doors ask for it: one durable market behind all eight."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from backend.app.clock import utc_now
from backend.app.database import Database
from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import (
    Deposit,
    Fill,
    LedgerLine,
    Order,
    OrderRequest,
    PublicTrade,
)
from backend.app.models.venue import Fill as FillRow
from backend.app.repositories.venue_account_repository import PaidOrder, VenueAccountRepository
from backend.app.repositories.venue_repository import VenueRepository
from backend.app.repositories.wallet_repository import WalletRepository
from backend.app.sandbox import venue_words
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.desk_world import DeskWorld
from backend.app.sandbox.house import houses
from backend.app.sandbox.ledger_lines import ledger_lines
from backend.app.sandbox.listings import VENUE_FEE
from backend.app.sandbox.patient_desk import PatientDesk
from backend.app.services.venue.desk import VenueDesk
from backend.app.services.venue.open_orders import open_ids
from backend.app.services.venue.spot_markets import Markets, ShardMarkets

ORDERS_MAX: Final = 1_000
FILLS_MAX: Final = 1_000
TRANSFERS_MAX: Final = 1_000
PUBLIC_TRADES_MAX: Final = 1_000


class VenueWorld(DeskWorld):
    """A World whose orders and money are kept by the venue; its accounts are venue accounts."""

    def __init__(
        self,
        seed: bytes,
        now_ms: Callable[[], int],
        accounts: Sequence[SeededAccount],
        desk: VenueDesk,
        database: Database,
    ) -> None:
        made = houses(seed, VENUE_FEE)
        super().__init__(made, now_ms, accounts, PatientDesk(desk), self._opened)
        self._database = database
        self._markets = ShardMarkets(database, utc_now)

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

    async def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return an account's open orders, the oldest first."""
        owner, instrument_id = await self._owners.id_of(account_id), await self._id_of(symbol)
        among = await open_ids(self._desk, owner, instrument_id)
        async with self._database.snapshot() as session:
            found = await VenueAccountRepository(session).open_orders(
                owner, instrument_id, ORDERS_MAX, among=among
            )
        return await self._orders(found)

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

    async def _markets_now(self) -> Markets:
        return await self._markets.all()

    async def _opened(self, name: str) -> int:
        # Two at once do no harm: a name is one account.
        async with self._database.transaction() as session:
            return await VenueAccountRepository(session).ensure(name, utc_now())

    async def _admit(self, owner: int, asked: OrderRequest) -> None:
        if asked.client_order_id is None:
            return
        async with self._database.snapshot() as session:
            known = await VenueAccountRepository(session).has_named(owner, asked.client_order_id)
        if known:
            raise OrderRefused("duplicate_client_order_id")

    async def _kept_order(self, owner: int, order_id: int) -> Order | None:
        async with self._database.snapshot() as session:
            found = await VenueAccountRepository(session).order(owner, order_id)
        return None if found is None else (await self._orders([found]))[0]

    async def _kept_orders(self, owner: int, symbol: str | None) -> Sequence[Order]:
        instrument_id = await self._id_of(symbol)
        async with self._database.snapshot() as session:
            found = await VenueAccountRepository(session).orders(owner, instrument_id, ORDERS_MAX)
        return await self._orders(found)

    async def _orders(self, rows: Sequence[PaidOrder]) -> Sequence[Order]:
        instruments = (await self._markets.all()).by_id
        traded = [(instruments[row.order.instrument_id], row) for row in reversed(rows)]
        return tuple(venue_words.order(self.market(of.symbol), of, row) for of, row in traded)

    async def _fills(self, rows: Sequence[FillRow]) -> Sequence[Fill]:
        instruments = (await self._markets.all()).by_id
        traded = [(instruments[row.instrument_id], row) for row in reversed(rows)]
        return tuple(venue_words.fill(self.market(of.symbol), of, row) for of, row in traded)
