"""Withdrawals that wait for a person, for an administrator."""

from fastapi import APIRouter, Depends

from backend.app.errors import (
    Forbidden,
    SettlementNotGivenUp,
    Unauthenticated,
    WithdrawalNotFound,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Cursor, Limit
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import ADMINISTRATION, Administrator
from backend.app.routes.problems import refusals
from backend.app.schemas.settlement_schemas import DeadSettlement, DeadSettlementPage

router = APIRouter(prefix="/admin/settlements", tags=["settlements"])


@router.get(
    "/dead", dependencies=[Depends(ADMINISTRATION)], responses=refusals(Unauthenticated, Forbidden)
)
async def list_dead_settlements(
    services: ServicesDep, limit: Limit = PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> DeadSettlementPage:
    """List withdrawals that nobody tries to pay out any more, the newest first."""
    return await services.credit.dead_settlements.page(limit, cursor)


@router.post(
    "/{dead_id}/requeue",
    responses=refusals(Unauthenticated, Forbidden, WithdrawalNotFound, SettlementNotGivenUp),
)
async def requeue_settlement(
    dead_id: RowId, administrator: Administrator, services: ServicesDep
) -> DeadSettlement:
    """Have such a withdrawal tried again, having asked first what became of it."""
    return await services.credit.dead_settlements.requeue(administrator, dead_id)
