"""What lies behind stored keys: balances, open orders, and the portfolio of all of them."""

from fastapi import APIRouter

from backend.app.errors import (
    AuditUnavailable,
    CredentialChanged,
    CredentialNotFound,
    CredentialOfOtherEnvironment,
    CredentialRefused,
    CredentialUnreadable,
    ExchangeThrottled,
    ExchangeUnreachable,
    Unauthenticated,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import Reader
from backend.app.routes.problems import refusals
from backend.app.schemas.account_schemas import AccountBalances, AccountOpenOrders, Portfolio

router = APIRouter(tags=["accounts"])

_REFUSALS = refusals(
    CredentialRefused,
    Unauthenticated,
    CredentialNotFound,
    CredentialChanged,
    CredentialOfOtherEnvironment,
    ExchangeThrottled,
    ExchangeUnreachable,
    AuditUnavailable,
    CredentialUnreadable,
)


@router.get("/credentials/{credential_id}/balances", responses=_REFUSALS)
async def show_balances(
    credential_id: RowId, user: Reader, services: ServicesDep
) -> AccountBalances:
    """Ask the exchange what the account behind this key holds, now."""
    return await services.accounts.balances(user.user_id, credential_id, user.caller)


@router.get("/credentials/{credential_id}/open-orders", responses=_REFUSALS)
async def list_open_orders(
    credential_id: RowId, user: Reader, services: ServicesDep
) -> AccountOpenOrders:
    """Ask the exchange which orders of the account behind this key rest in a book, now."""
    return await services.accounts.open_orders(user.user_id, credential_id, user.caller)


@router.get("/portfolio", responses=refusals(Unauthenticated, AuditUnavailable))
async def show_portfolio(user: Reader, services: ServicesDep) -> Portfolio:
    """Ask all exchanges what your active keys hold together.

    Answers with what it has: an exchange that is down, refuses or is too slow is named in
    `missing`, with the reason and what can be done.
    """
    return await services.accounts.portfolio(user.user_id, user.caller)
