"""Orders of the spot markets: placed, found, taken back. The engine decides; here it is asked.

An answer comes when what it tells of is committed. `client_order_id` makes asking again safe: the
same order under the same id is placed once, and answered as it stands by then.
"""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from backend.app.database import Database
from backend.app.errors import OrderNotFound, OrderRefused, StrongroomError
from backend.app.models.venue import Order
from backend.app.problems import members_of
from backend.app.repositories.venue_repository import VenueRepository
from backend.app.schemas.order_schemas import (
    FillPage,
    OrderBatch,
    OrderCreate,
    OrderPage,
    OrderQuery,
    OrdersCancelled,
    OrderShown,
    WantedStatus,
)
from backend.app.services.venue import order_shown
from backend.app.services.venue.desk import Answer, Known, VenueDesk
from backend.app.services.venue.open_orders import open_orders
from backend.app.services.venue.order_rules import new_order
from backend.app.services.venue.places import cursor_of, place_of
from backend.app.services.venue.spot_markets import SPOT_SHARD, Markets, ShardMarkets
from backend.app.venue.batch import Done
from backend.app.venue.commands import CancelAllOrders, CancelOrder, Command, NewOrder


class OrderService:
    """What an account may do with its orders, and see of them."""

    def __init__(self, database: Database, markets: ShardMarkets, desk: VenueDesk) -> None:
        self._database = database
        self._markets = markets
        self._desk = desk

    async def place_json(self, account_id: int, asked: OrderCreate) -> bytes:
        """Place an order and return it, as the JSON of an `OrderShown`, when it is committed.

        Raises:
            OrderRefused: it breaks the rule that the facts name.
            InsufficientFunds, PostOnlyWouldTake, TooManyOpenOrders: nothing was placed.
            ClientOrderIdTaken: another order has this id.
            EngineElsewhere, VenueBusy: nothing was placed.
            OrderOutcomeUnknown: it may have been placed, or not.
        """
        markets = await self._markets.all()
        order = _new_order(account_id, markets, asked)
        [answer] = await self._desk.carry_out((order,))
        if isinstance(answer, StrongroomError):
            raise answer
        [shown] = await self._shown(account_id, markets, [answer])
        return to_json(shown)

    async def place_all_json(self, account_id: int, asked: OrderBatch) -> bytes:
        """Place several orders, one after the other, each on its own; say what became of each.

        It is said as the JSON of a `BatchAnswer`.

        Raises:
            EngineElsewhere, VenueBusy: nothing was placed.
            OrderOutcomeUnknown: all of them may have been placed, or none.
        """
        markets = await self._markets.all()
        checked = [_checked(account_id, markets, each) for each in asked.orders]
        orders = [each for each in checked if isinstance(each, NewOrder)]
        answers = iter(await self._desk.carry_out(orders) if orders else ())
        ends = [next(answers) if isinstance(each, NewOrder) else each for each in checked]
        placed = [each for each in ends if not isinstance(each, StrongroomError)]
        shown = iter(await self._shown(account_id, markets, placed))
        items = [
            {"problem": members_of(each)}
            if isinstance(each, StrongroomError)
            else {"order": next(shown)}
            for each in ends
        ]
        return to_json({"items": items})

    async def cancel(self, account_id: int, order_id: int) -> OrderShown:
        """Take an open order back and return it as it ended.

        Raises:
            OrderNotFound: absent, or another account's.
            OrderNotOpen: it was filled or cancelled before.
            EngineElsewhere, VenueBusy: nothing was cancelled.
            OrderOutcomeUnknown: it may have been cancelled, or not.
        """
        row = await self._row(account_id, order_id)
        await self._carry_out(CancelOrder(account_id, row.instrument_id, order_id))
        return await self.get(account_id, order_id)

    async def cancel_all(self, account_id: int, name: str | None) -> OrdersCancelled:
        """Take every open order back, of one market or of all, and say which.

        Raises:
            SymbolUnknown: there is no market of that name.
            EngineElsewhere, VenueBusy: nothing was cancelled.
            OrderOutcomeUnknown: they may have been cancelled, or not.
        """
        done = await self._carry_out(CancelAllOrders(account_id, await self._wanted(name)))
        return OrdersCancelled(cancelled=list(done.cancelled))

    async def get(self, account_id: int, order_id: int) -> OrderShown:
        """Return one of the account's orders.

        Raises:
            OrderNotFound: absent, or another account's.
        """
        markets = await self._markets.all()
        return _stored(markets, await self._row(account_id, order_id))

    async def get_by_client_id(self, account_id: int, client_order_id: str) -> OrderShown:
        """Return the account's order of this id of theirs.

        Raises:
            OrderNotFound: there is none.
        """
        markets = await self._markets.all()
        async with self._database.snapshot() as session:
            found = await VenueRepository(session).order_named(
                account_id, SPOT_SHARD, client_order_id
            )
        if found is None:
            raise OrderNotFound
        return _stored(markets, found)

    async def page(self, account_id: int, asked: OrderQuery) -> OrderPage:
        """Return the account's orders, the newest first.

        Raises:
            SymbolUnknown: there is no market of that name.
        """
        instrument_id = await self._wanted(asked.symbol)
        markets = await self._markets.all()
        if asked.status is WantedStatus.OPEN:
            found, next_id = await open_orders(
                self._database,
                self._desk,
                account_id,
                instrument_id=instrument_id,
                before=asked.cursor,
                rows_max=asked.limit,
            )
        else:
            async with self._database.snapshot() as session:
                found = await VenueRepository(session).orders(
                    account_id,
                    SPOT_SHARD,
                    instrument_id=instrument_id,
                    before=asked.cursor,
                    rows_max=asked.limit + 1,
                )
            next_id = found[asked.limit - 1].id if len(found) > asked.limit else None
        return OrderPage(
            items=[_stored(markets, each) for each in found[: asked.limit]],
            next_cursor=None if next_id is None else str(next_id),
        )

    async def fills(
        self, account_id: int, name: str | None, limit: int, cursor: str | None
    ) -> FillPage:
        """Return the account's sides of trades, the newest first.

        Raises:
            SymbolUnknown: there is no market of that name.
            BadRequest: the cursor is none of ours.
        """
        return await self._fills(account_id, limit, cursor, instrument_id=await self._wanted(name))

    async def fills_of(
        self, account_id: int, order_id: int, limit: int, cursor: str | None
    ) -> FillPage:
        """Return what one of the account's orders traded, the newest first.

        Raises:
            OrderNotFound: absent, or another account's.
            BadRequest: the cursor is none of ours.
        """
        await self._row(account_id, order_id)
        return await self._fills(account_id, limit, cursor, order_id=order_id)

    async def _fills(
        self,
        account_id: int,
        limit: int,
        cursor: str | None,
        *,
        instrument_id: int | None = None,
        order_id: int | None = None,
    ) -> FillPage:
        markets = await self._markets.all()
        async with self._database.snapshot() as session:
            found = await VenueRepository(session).fills(
                account_id,
                instrument_id=instrument_id,
                order_id=order_id,
                before=place_of(cursor),
                rows_max=limit + 1,
            )
        last = found[limit - 1] if len(found) > limit else None
        return FillPage(
            items=[
                order_shown.fill(markets.by_id[each.instrument_id], each) for each in found[:limit]
            ],
            next_cursor=cursor_of(last.trade_id, last.order_id) if last else None,
        )

    async def _wanted(self, name: str | None) -> int | None:
        return None if name is None else (await self._markets.named(name)).id

    async def _row(self, account_id: int, order_id: int) -> Order:
        async with self._database.snapshot() as session:
            found = await VenueRepository(session).order(account_id, SPOT_SHARD, order_id)
        if found is None:
            raise OrderNotFound
        return found

    async def _carry_out(self, command: Command) -> Done:
        [answer] = await self._desk.carry_out((command,))
        if isinstance(answer, StrongroomError):
            raise answer
        assert isinstance(answer, Done)  # noqa: S101 - only a new order is answered otherwise
        return answer

    async def _shown(
        self, account_id: int, markets: Markets, answers: Sequence[Answer]
    ) -> list[OrderShown | dict[str, Any]]:
        """Return orders that were placed now, or before under the same id: then as they stand."""
        known = [each for each in answers if isinstance(each, Known)]
        named = [each.id for each in known if each.order.client_order_id is not None]
        rows: dict[int, Order] = {}
        if named:
            async with self._database.snapshot() as session:
                found = await VenueRepository(session).orders_of_ids(account_id, named)
            rows = {each.id: each for each in found}
        moments = order_shown.moments(known)
        return [
            _stored(markets, rows[each.id])
            if each.id in rows
            else order_shown.placed(
                markets.by_id[each.order.instrument_id], each, moments[each.created_at]
            )
            for each in known
        ]


def _new_order(account_id: int, markets: Markets, asked: OrderCreate) -> NewOrder:
    market = markets.find(asked.symbol)
    if market is None:
        facts = {"rule": "unknown_symbol", "near": markets.near(asked.symbol)}
        raise OrderRefused("No market of that name is here.", facts=facts)
    return new_order(account_id, market, asked)


def _checked(account_id: int, markets: Markets, asked: OrderCreate) -> NewOrder | OrderRefused:
    try:
        return _new_order(account_id, markets, asked)
    except OrderRefused as refused:
        return refused


def _stored(markets: Markets, row: Order) -> OrderShown:
    return order_shown.stored(markets.by_id[row.instrument_id], row)
