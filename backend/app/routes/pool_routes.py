"""The pools behind the merchants' credit, for an administrator."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response

from backend.app.errors import (
    Forbidden,
    IdempotencyInProgress,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    PoolExists,
    PoolNotFound,
    PoolShort,
    TooManyPools,
    Unauthenticated,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.once import IdempotencyKey, answered
from backend.app.routes.policy import ADMINISTRATION, Administrator
from backend.app.routes.problems import refusals
from backend.app.schemas.merchant_schemas import (
    HistoryQuery,
    PoolChange,
    PoolChanged,
    PoolCreate,
    PoolShown,
    Statement,
)

router = APIRouter(prefix="/admin/pool", tags=["pools"])

_MOVING: Final = refusals(
    IdempotencyKeyMissing,
    Unauthenticated,
    Forbidden,
    PoolNotFound,
    IdempotencyInProgress,
    IdempotencyKeyReused,
)


@router.get(
    "", dependencies=[Depends(ADMINISTRATION)], responses=refusals(Unauthenticated, Forbidden)
)
async def list_pools(services: ServicesDep) -> list[PoolShown]:
    """List the pools and what each still has to lend."""
    return await services.credit.pools.pools()


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=refusals(Unauthenticated, Forbidden, PoolExists, TooManyPools),
)
async def create_pool(
    asked: PoolCreate, administrator: Administrator, services: ServicesDep
) -> PoolShown:
    """Make another pool. Merchants approved without naming one draw on `default`."""
    return await services.credit.pools.create(administrator, asked)


@router.post("/topup", response_model=PoolChanged, responses=_MOVING)
async def top_up_pool(
    administrator: Administrator, asked: PoolChange, key: IdempotencyKey, services: ServicesDep
) -> Response:
    """Put money into a pool. With an `Idempotency-Key` a repeated request counts once."""
    return answered(await services.credit.pools.top_up(administrator, asked, key))


@router.post("/drawdown", response_model=PoolChanged, responses=_MOVING | refusals(PoolShort))
async def draw_down_pool(
    administrator: Administrator, asked: PoolChange, key: IdempotencyKey, services: ServicesDep
) -> Response:
    """Take money out of a pool. With an `Idempotency-Key` a repeated request counts once."""
    return answered(await services.credit.pools.draw_down(administrator, asked, key))


@router.get(
    "/history",
    dependencies=[Depends(ADMINISTRATION)],
    responses=refusals(Unauthenticated, Forbidden, PoolNotFound),
)
async def read_pool_history(
    services: ServicesDep,
    wanted: Annotated[HistoryQuery, Query()],
) -> Statement:
    """Show what went into a pool and out of it, the oldest first."""
    return await services.credit.pools.history(wanted)
