"""Merchants and their credit: an administrator's decisions, and statements for both sides."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from backend.app.enums import MerchantState
from backend.app.errors import (
    CreditLimitBelowUse,
    Forbidden,
    MerchantNotActive,
    MerchantNotFound,
    MerchantNotPending,
    PoolNotFound,
    Unauthenticated,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Limit
from backend.app.routes.path_ids import ROW_ID_MAX, RowId
from backend.app.routes.policy import Administrator, Reader
from backend.app.routes.problems import refusals
from backend.app.routes.statement_format import (
    CSV_TOO,
    Wanted,
    written,
)
from backend.app.schemas.merchant_schemas import (
    Approval,
    LimitChange,
    MerchantPage,
    MerchantShown,
    Statement,
)

router = APIRouter(tags=["merchants"])

AfterMerchant = Annotated[
    int, Query(ge=0, le=ROW_ID_MAX, description="`next_cursor` of the last page")
]
_DECIDING: Final = refusals(Unauthenticated, Forbidden, MerchantNotFound, MerchantNotActive)
_READING: Final = {200: CSV_TOO, **refusals(Unauthenticated, Forbidden, MerchantNotFound)}


@router.get("/admin/merchants", responses=refusals(Unauthenticated, Forbidden))
async def list_merchants(
    administrator: Administrator,
    services: ServicesDep,
    state: MerchantState | None = None,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: AfterMerchant = 0,
) -> MerchantPage:
    """List merchants by id, all or those of one state."""
    return await services.credit.merchants.page(administrator, state, limit, cursor)


@router.post(
    "/admin/approve",
    responses=refusals(
        Unauthenticated, Forbidden, MerchantNotFound, MerchantNotPending, PoolNotFound
    ),
)
async def approve_merchant(
    asked: Approval, administrator: Administrator, services: ServicesDep
) -> MerchantShown:
    """Open a merchant's account with his credit. Works once; then change the limit."""
    return await services.credit.merchants.approve(administrator, asked)


@router.get(
    "/admin/merchants/{merchant_id}",
    responses=refusals(Unauthenticated, Forbidden, MerchantNotFound),
)
async def read_merchant(
    merchant_id: RowId, administrator: Administrator, services: ServicesDep
) -> MerchantShown:
    """Show a merchant and how he stands."""
    return await services.credit.merchants.get(administrator, merchant_id)


@router.patch("/admin/merchants/{merchant_id}", responses=_DECIDING | refusals(CreditLimitBelowUse))
async def change_limit(
    merchant_id: RowId, asked: LimitChange, administrator: Administrator, services: ServicesDep
) -> MerchantShown:
    """Change a merchant's credit limit, not below what he has drawn."""
    return await services.credit.merchants.change_limit(administrator, merchant_id, asked)


@router.post("/admin/merchants/{merchant_id}/suspend", responses=_DECIDING)
async def suspend_merchant(
    merchant_id: RowId, administrator: Administrator, services: ServicesDep
) -> MerchantShown:
    """Let a merchant draw nothing more. Suspending twice changes nothing."""
    return await services.credit.merchants.suspend(administrator, merchant_id)


@router.post("/admin/merchants/{merchant_id}/resume", responses=_DECIDING)
async def resume_merchant(
    merchant_id: RowId, administrator: Administrator, services: ServicesDep
) -> MerchantShown:
    """Let a suspended merchant draw again."""
    return await services.credit.merchants.resume(administrator, merchant_id)


@router.get(
    "/admin/merchants/{merchant_id}/statement", response_model=Statement, responses=_READING
)
async def read_statement_of(
    merchant_id: RowId,
    administrator: Administrator,
    services: ServicesDep,
    wanted: Wanted,
) -> Response:
    """Show what a merchant drew and was given back, the oldest first, as JSON or CSV."""
    page = await services.credit.statements.of(administrator, merchant_id, wanted)
    return written(page, wanted.format)


@router.get("/me/statement", response_model=Statement, responses=_READING)
async def read_own_statement(
    user: Reader,
    services: ServicesDep,
    wanted: Wanted,
) -> Response:
    """Show what you drew and were given back, the oldest first, as JSON or CSV."""
    page = await services.credit.statements.own(user.user_id, wanted)
    return written(page, wanted.format)
