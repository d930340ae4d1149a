"""Wallets of the venue, and test funds."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from backend.app.errors import (
    BadRequest,
    EngineElsewhere,
    FundsTransferRefused,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    InsufficientFunds,
    NoTestFunds,
    OrderOutcomeUnknown,
    Unauthenticated,
    VenueBusy,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.once import IdempotencyKey
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Limit, PlaceCursor
from backend.app.routes.policy import Reader, Trader
from backend.app.routes.problems import refusals
from backend.app.schemas.wallet_schemas import (
    ASSET_FORM,
    TransferRequest,
    TransferShown,
    Wallet,
    WalletMovementPage,
)

router = APIRouter(prefix="/wallets", tags=["wallets"])

_Asset = Annotated[str | None, Query(pattern=ASSET_FORM, description="Of one asset only")]
_REFUSED: Final[dict[int | str, dict[str, Any]]] = refusals(
    IdempotencyKeyMissing,
    Unauthenticated,
    NoTestFunds,
    InsufficientFunds,
    FundsTransferRefused,
    IdempotencyKeyReused,
    EngineElsewhere,
    VenueBusy,
    OrderOutcomeUnknown,
)


@router.get("", responses=refusals(Unauthenticated))
async def list_wallets(user: Reader, services: ServicesDep) -> list[Wallet]:
    """Return what you have of each asset: available, and locked for open orders."""
    return await services.wallets.list_wallets(user.user_id)


@router.get("/movements", responses=refusals(Unauthenticated, BadRequest))
async def list_wallet_movements(
    user: Reader,
    services: ServicesDep,
    asset: _Asset = None,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: PlaceCursor = None,
) -> WalletMovementPage:
    """Return what happened to your wallets, line by line of the ledger, the newest first."""
    return await services.wallets.movements(user.user_id, asset, limit, cursor)


@router.post("/deposits", status_code=HTTPStatus.CREATED, responses=_REFUSED)
async def deposit_test_funds(
    asked: TransferRequest, user: Trader, key: IdempotencyKey, services: ServicesDep
) -> TransferShown:
    """Put test funds into your wallet, in a rehearsal. The same `Idempotency-Key` does so once."""
    return await services.wallets.deposit(user.user_id, asked, key)


@router.post("/withdrawals", status_code=HTTPStatus.CREATED, responses=_REFUSED)
async def withdraw_test_funds(
    asked: TransferRequest, user: Trader, key: IdempotencyKey, services: ServicesDep
) -> TransferShown:
    """Take test funds out of your wallet. The same `Idempotency-Key` does so once."""
    return await services.wallets.withdraw(user.user_id, asked, key)
