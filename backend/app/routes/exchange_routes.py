"""The eight exchanges: which they are, what each needs, and what a key is worth there."""

from fastapi import APIRouter, Depends, Response

from backend.app.errors import (
    ExchangeThrottled,
    ExchangeUnknown,
    ExchangeUnreachable,
    Unauthenticated,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.policy import PUBLIC, TRADING
from backend.app.routes.problems import refusals
from backend.app.schemas.exchange_schemas import (
    SupportedExchange,
    SupportedExchanges,
    Verdict,
    VerifyRequest,
)

router = APIRouter(tags=["exchanges"])


@router.get(
    "/exchange/supported", response_model=SupportedExchanges, dependencies=[Depends(PUBLIC)]
)
async def supported(services: ServicesDep) -> Response:
    """Return the names of the exchanges."""
    return Response(await services.exchange_list.names_json(), media_type="application/json")


@router.get("/exchanges", response_model=list[SupportedExchange], dependencies=[Depends(PUBLIC)])
async def exchanges(services: ServicesDep) -> Response:
    """Return each exchange with what it needs: passphrase, where to make a key, what to tick."""
    return Response(await services.exchange_list.details_json(), media_type="application/json")


@router.post(
    "/exchange/verify",
    dependencies=[Depends(TRADING)],
    responses=refusals(Unauthenticated, ExchangeUnknown, ExchangeThrottled, ExchangeUnreachable),
)
async def verify(asked: VerifyRequest, services: ServicesDep) -> Verdict:
    """Ask an exchange what a key pair is worth, without storing anything."""
    return await services.credentials.try_keys(asked)
