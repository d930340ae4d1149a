"""Withdrawals of merchants."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Response

from backend.app.errors import (
    CreditExceeded,
    DatabaseUnavailable,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    MerchantNotActive,
    PayoutRefused,
    PoolShort,
    Unauthenticated,
    WithdrawalNotFound,
    WithdrawalQueueFull,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.once import IdempotencyKey, answered
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Cursor, Limit
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import Reader, Withdrawer
from backend.app.routes.problems import refusals
from backend.app.schemas.withdrawal_schemas import (
    WithdrawalPage,
    WithdrawalRequest,
    WithdrawalShown,
)

router = APIRouter(prefix="/withdrawals", tags=["withdrawals"])

_ENDS: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.CREATED.value: {"description": "Paid out"},
    HTTPStatus.ACCEPTED.value: {"model": WithdrawalShown, "description": "Booked; see `state`"},
}


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=WithdrawalShown,
    responses=_ENDS
    | refusals(
        IdempotencyKeyMissing,
        Unauthenticated,
        Forbidden,
        MerchantNotActive,
        CreditExceeded,
        PoolShort,
        PayoutRefused,
        IdempotencyInProgress,
        IdempotencyKeyReused,
        WithdrawalQueueFull,
        DatabaseUnavailable,
    ),
)
async def withdraw(
    user: Withdrawer, asked: WithdrawalRequest, key: IdempotencyKey, services: ServicesDep
) -> Response:
    """Draw on your credit: 201 if it is paid out, 202 if it is booked and under way.

    The same `Idempotency-Key` is answered the same, and counts once.
    """
    return answered(await services.credit.withdrawals.withdraw(user, asked, key))


@router.get("", responses=refusals(Unauthenticated))
async def list_withdrawals(
    user: Reader,
    services: ServicesDep,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> WithdrawalPage:
    """Return your withdrawals, the newest first."""
    return await services.credit.withdrawals.page(user.user_id, limit, cursor)


@router.get("/{withdrawal_id}", responses=refusals(Unauthenticated, WithdrawalNotFound))
async def read_withdrawal(
    withdrawal_id: RowId, user: Reader, services: ServicesDep
) -> WithdrawalShown:
    """Show one of your withdrawals, as far as it has come."""
    return await services.credit.withdrawals.get(user.user_id, withdrawal_id)
