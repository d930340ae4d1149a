"""The settlement's door: paying withdrawals out, and saying what became of them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from backend.app.errors import (
    DatabaseUnavailable,
    InternalKeyRefused,
    SettlementContradicted,
    SettlementNotFound,
    Unauthenticated,
)
from backend.app.routes.dependencies import SettlementDep
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import SETTLING
from backend.app.routes.problems import refusals
from backend.app.schemas.settlement_schemas import (
    REFUSAL_SCOPE_KEY,
    PayoutOrder,
    SettlementShown,
)

router = APIRouter(prefix="/api/settlement", tags=["settlement"], dependencies=[Depends(SETTLING)])


async def _rehearsed_refusal(request: Request) -> str | None:
    refusal: str | None = request.scope.get(REFUSAL_SCOPE_KEY)
    return refusal


@router.post(
    "/withdraw",
    responses=refusals(
        Unauthenticated, InternalKeyRefused, SettlementContradicted, DatabaseUnavailable
    ),
)
async def pay_withdrawal(
    order: PayoutOrder,
    services: SettlementDep,
    refusal: Annotated[str | None, Depends(_rehearsed_refusal)],
) -> SettlementShown:
    """Pay a withdrawal out. The same id and order are answered the same, and paid once."""
    return await services.payouts.pay(order, refusal)


@router.get(
    "/withdrawals/{withdrawal_id}",
    responses=refusals(
        Unauthenticated, InternalKeyRefused, SettlementNotFound, DatabaseUnavailable
    ),
)
async def show_settlement(withdrawal_id: RowId, services: SettlementDep) -> SettlementShown:
    """Say what became of a withdrawal; 404 if it was never asked for."""
    return await services.payouts.get(withdrawal_id)
