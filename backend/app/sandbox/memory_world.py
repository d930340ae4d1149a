"""The market in memory, where there is no database: a house takes the other side of everything."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Final

from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import (
    Deposit,
    Fill,
    LedgerLine,
    Order,
    OrderRequest,
    PublicTrade,
    Side,
)
from backend.app.sandbox import venue_words
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.desk_world import DeskWorld
from backend.app.sandbox.house import House, houses
from backend.app.sandbox.ledger_lines import ledger_lines
from backend.app.sandbox.memory_desk import MemoryDesk
from backend.app.sandbox.memory_past import AccountPast
from backend.app.services.venue.spot_markets import Markets
from backend.app.venue.wallets import Holding

OPEN_ORDERS_PER_ACCOUNT_MAX: Final = 200
PUBLIC_TRADES_MAX: Final = 1_000
_TRADE_EVERY_MS: Final = 2_000


class MemoryWorld(DeskWorld):
    """A World whose orders and balances last as long as the process, and cost no fees.

    Its coroutines never wait: a request is one step.
    """

    def __init__(
        self, seed: bytes, now_ms: Callable[[], int], accounts: Sequence[SeededAccount]
    ) -> None:
        made = houses(seed)
        self.desk: Final = MemoryDesk(made, now_ms)
        super().__init__(made, now_ms, accounts, self.desk, self.desk.open_account)
        self._seed = seed

    async def public_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade]:
        """Return the last trades, the newest first: one every two seconds, along the path.

        Raises:
            OrderRefused: unknown_symbol.
        """
        house = self._house(symbol)
        newest = self._clock() // _TRADE_EVERY_MS
        count = max(1, min(limit, PUBLIC_TRADES_MAX))
        return tuple(self._public_trade(house, newest - back) for back in range(count))

    async def balances(self, account_id: str) -> Sequence[Balance]:
        """Return what an account holds, of every asset it ever held."""
        owner = await self._owners.id_of(account_id)
        held = {each.asset: each for each in self.desk.holdings() if each.account_id == owner}
        return tuple(
            venue_words.balance(held.get(asset, Holding(owner, asset, 0, 0)))
            for asset in sorted(self.desk.past(owner).assets)
        )

    async def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Return an account's open orders, the oldest first."""
        owner, instrument_id = await self._owners.id_of(account_id), await self._id_of(symbol)
        numbers = await self.desk.open_orders(owner, instrument_id)
        known = self.desk.past(owner).open
        return tuple(known[number] for number in reversed(numbers) if number in known)

    async def order_news(
        self, account_id: str, after_id: int, watched: Collection[int]
    ) -> Sequence[Order]:
        """Return the orders numbered above `after_id`, and the watched ones; the oldest first."""
        known = (await self._past(account_id)).orders()
        news = (each for each in known if each.order_id > after_id or each.order_id in watched)
        return sorted(news, key=lambda order: order.order_id)

    async def fills(
        self, account_id: str, symbol: str | None = None, order_id: int | None = None
    ) -> Sequence[Fill]:
        """Return what an account has traded, the oldest first."""
        return tuple(
            fill
            for fill in (await self._past(account_id)).fills
            if symbol in (None, fill.market.symbol) and order_id in (None, fill.order_id)
        )

    async def deposits(self, account_id: str, asset: str | None = None) -> Sequence[Deposit]:
        """Return what an account was given, the oldest first."""
        known = (await self._past(account_id)).deposits
        return tuple(deposit for deposit in known if asset in (None, deposit.asset))

    async def ledger(self, account_id: str, asset: str | None = None) -> Sequence[LedgerLine]:
        """Return every change of what an account holds, the oldest first."""
        past = await self._past(account_id)
        lines = ledger_lines(await self.balances(account_id), past.deposits, past.fills)
        return tuple(line for line in lines if asset in (None, line.asset))

    async def _markets_now(self) -> Markets:
        return self.desk.markets

    async def _admit(self, owner: int, asked: OrderRequest) -> None:
        mine = self.desk.past(owner).open.values()
        name = asked.client_order_id
        if name and any(order.client_order_id == name for order in mine):
            raise OrderRefused("duplicate_client_order_id")
        if len(mine) >= OPEN_ORDERS_PER_ACCOUNT_MAX:
            raise OrderRefused("too_many_open_orders")

    async def _kept_order(self, owner: int, order_id: int) -> Order | None:
        return self.desk.past(owner).order(order_id)

    async def _kept_orders(self, owner: int, symbol: str | None) -> Sequence[Order]:
        known = self.desk.past(owner).orders()
        return tuple(order for order in known if symbol in (None, order.market.symbol))

    async def _past(self, account_id: str) -> AccountPast:
        return self.desk.past(await self._owners.id_of(account_id))

    def _public_trade(self, house: House, number: int) -> PublicTrade:
        at_ms = number * _TRADE_EVERY_MS
        market = house.listing.market
        traded = house.path.volume(at_ms - _TRADE_EVERY_MS, at_ms)
        odd = hashlib.blake2b(b"%d" % number, key=self._seed[:64], digest_size=1).digest()[0] & 1
        return PublicTrade(
            trade_id=number,
            price=house.path.price(at_ms),
            amount=max(traded, market.min_amount),
            side=Side.BUY if odd else Side.SELL,
            at_ms=at_ms,
        )
