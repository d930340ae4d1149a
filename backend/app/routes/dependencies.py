"""How a route reaches the services."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from backend.app.container import Container
from backend.app.market_container import MarketContainer
from backend.app.services.health_service import HealthService
from backend.app.settlement_container import SettlementContainer


def services_of(request: HTTPConnection) -> Container:
    """Return the services of the app that was asked."""
    container: Container = request.app.state.container
    return container


async def _services(request: HTTPConnection) -> Container:
    return services_of(request)


def market_of(request: HTTPConnection) -> MarketContainer:
    """Return market data's services, whichever role was asked."""
    market: MarketContainer = request.app.state.container.market
    return market


async def _market(request: HTTPConnection) -> MarketContainer:
    return market_of(request)


async def _settlement(request: HTTPConnection) -> SettlementContainer:
    settlement: SettlementContainer = request.app.state.container
    return settlement


async def _health(request: HTTPConnection) -> HealthService:
    health: HealthService = request.app.state.container.health
    return health


ServicesDep = Annotated[Container, Depends(_services)]
# Of every role that has a database; the services of the vault are the API's alone.
MarketDep = Annotated[MarketContainer, Depends(_market)]
SettlementDep = Annotated[SettlementContainer, Depends(_settlement)]
HealthDep = Annotated[HealthService, Depends(_health)]
