"""The older card API, for its clients: the same market in its words."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import PUBLIC, CardReader, CardTrader
from backend.app.routes.problems import OLDER_PREFIX
from backend.app.schemas.older_card_schemas import (
    Many,
    OlderItem,
    OlderOrder,
    OlderOrderCreate,
    OlderTransaction,
    One,
)
from backend.app.services.venue.older_cards import (
    as_asked,
    older_item,
    older_order,
    older_transaction,
    paged,
)

router = APIRouter(prefix=OLDER_PREFIX, tags=["older card API"])

ItemId = Annotated[int, Path(ge=1, le=2**31 - 1)]
WantedItem = Annotated[int, Query(ge=1, le=2**31 - 1)]
Page = Annotated[int, Query(ge=1, le=1_000_000)]
PerPage = Annotated[int, Query(ge=1, le=50)]


@router.get("/items", dependencies=[Depends(PUBLIC)])
async def list_items(
    services: ServicesDep, page: Page = 1, per_page: PerPage = 50
) -> Many[OlderItem]:
    """Return the cards."""
    cards = await services.cards.list_cards()
    return paged([older_item(each) for each in cards], page, per_page)


@router.get("/items/{item_id}", dependencies=[Depends(PUBLIC)])
async def get_item(item_id: ItemId, services: ServicesDep) -> One[OlderItem]:
    """Return a card."""
    return One(data=older_item(await services.cards.get_card(item_id)))


@router.post("/orders", status_code=HTTPStatus.CREATED)
async def create_order(
    asked: OlderOrderCreate, user: CardTrader, services: ServicesDep
) -> One[OlderOrder]:
    """Buy or sell one card."""
    return One(data=older_order(await services.cards.place(user.user_id, as_asked(asked))))


@router.get("/orders")
async def list_orders(
    user: CardReader, services: ServicesDep, page: Page = 1, per_page: PerPage = 50
) -> Many[OlderOrder]:
    """Return the trader's latest 50 orders, the newest first."""
    orders = await services.cards.list_orders(user.user_id)
    return paged([older_order(each) for each in orders], page, per_page)


@router.get("/orders/{order_id}")
async def get_order(order_id: RowId, user: CardReader, services: ServicesDep) -> One[OlderOrder]:
    """Return one of the trader's orders."""
    return One(data=older_order(await services.cards.get_order(user.user_id, order_id)))


@router.get("/transactions", dependencies=[Depends(PUBLIC)])
async def list_transactions(
    item_id: WantedItem, services: ServicesDep, page: Page = 1, per_page: PerPage = 50
) -> Many[OlderTransaction]:
    """Return a card's latest 50 trades, the newest first."""
    trades = await services.cards.list_trades(item_id)
    return paged([older_transaction(each) for each in trades], page, per_page)
