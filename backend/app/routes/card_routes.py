"""The card market."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from backend.app.errors import (
    CardUnknown,
    ClientOrderIdTaken,
    EngineElsewhere,
    OrderNotFound,
    OrderNotOpen,
    OrderOutcomeUnknown,
    OrderRefused,
    Unauthenticated,
    VenueBusy,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import PUBLIC, Reader, Trader
from backend.app.routes.problems import refusals
from backend.app.schemas.card_schemas import (
    CardBook,
    CardOrderCreate,
    CardOrderShown,
    CardShown,
    CardTradeShown,
)

router = APIRouter(prefix="/cards", tags=["card market"])

CardId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("", dependencies=[Depends(PUBLIC)])
async def list_cards(services: ServicesDep) -> list[CardShown]:
    """Return the cards that are traded."""
    return await services.cards.list_cards()


@router.post(
    "/orders",
    status_code=HTTPStatus.CREATED,
    responses=refusals(
        Unauthenticated,
        CardUnknown,
        OrderRefused,
        ClientOrderIdTaken,
        EngineElsewhere,
        VenueBusy,
        OrderOutcomeUnknown,
    ),
)
async def place_card_order(
    asked: CardOrderCreate, user: Trader, services: ServicesDep
) -> CardOrderShown:
    """Buy or sell one card. The answer comes when the order is committed."""
    return await services.cards.place(user.user_id, asked)


@router.get("/orders", responses=refusals(Unauthenticated))
async def list_card_orders(user: Reader, services: ServicesDep) -> list[CardOrderShown]:
    """Return your latest 50 orders, the newest first."""
    return await services.cards.list_orders(user.user_id)


@router.get("/orders/{order_id}", responses=refusals(Unauthenticated, OrderNotFound))
async def get_card_order(order_id: RowId, user: Reader, services: ServicesDep) -> CardOrderShown:
    """Return one of your orders."""
    return await services.cards.get_order(user.user_id, order_id)


@router.delete(
    "/orders/{order_id}",
    responses=refusals(
        Unauthenticated,
        OrderNotFound,
        OrderNotOpen,
        EngineElsewhere,
        VenueBusy,
        OrderOutcomeUnknown,
    ),
)
async def cancel_card_order(order_id: RowId, user: Trader, services: ServicesDep) -> CardOrderShown:
    """Take one of your open orders back."""
    return await services.cards.cancel(user.user_id, order_id)


@router.get("/{card_id}/trades", dependencies=[Depends(PUBLIC)], responses=refusals(CardUnknown))
async def list_card_trades(card_id: CardId, services: ServicesDep) -> list[CardTradeShown]:
    """Return a card's latest 50 trades, the newest first."""
    return await services.cards.list_trades(card_id)


@router.get(
    "/{card_id}/book",
    dependencies=[Depends(PUBLIC)],
    responses=refusals(CardUnknown, EngineElsewhere, VenueBusy),
)
async def get_card_book(card_id: CardId, services: ServicesDep) -> CardBook:
    """Return what waits at a card's 50 best prices of each side."""
    return await services.cards.get_book(card_id)
