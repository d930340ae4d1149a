"""Apps by role: which routers and middleware each process serves."""

from enum import StrEnum
from functools import cache
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from backend.app.container import Container
from backend.app.engine_container import EngineContainer
from backend.app.enums import Environment
from backend.app.middleware.body_limit import BodyLimit
from backend.app.middleware.request_context import RequestContext
from backend.app.middleware.websocket_context import WebsocketContext
from backend.app.prices_container import PricesContainer
from backend.app.routes import (
    account_routes,
    api_key_routes,
    audit_routes,
    auth_routes,
    candle_routes,
    card_routes,
    credential_routes,
    dead_settlement_routes,
    docs_routes,
    exchange_routes,
    health_routes,
    key_routes,
    live_routes,
    merchant_routes,
    notification_routes,
    older_card_routes,
    order_routes,
    passport_routes,
    pool_routes,
    price_alert_routes,
    price_routes,
    profile_routes,
    reference_routes,
    request_log_routes,
    rotation_routes,
    settlement_routes,
    user_routes,
    venue_market_routes,
    wallet_routes,
    webhook_routes,
    withdrawal_routes,
)
from backend.app.routes.hot_paths import Endpoint, HotPaths, hot_paths
from backend.app.routes.policy import refuse_undeclared_routes
from backend.app.routes.problems import install_problem_handlers
from backend.app.sandbox.settlement_faults import SettlementFaultDeck, SettlementFaults
from backend.app.settlement_container import SettlementContainer

AnyContainer = Container | PricesContainer | SettlementContainer | EngineContainer


class AppRole(StrEnum):
    """The roles a process can serve HTTP in."""

    API = "api"
    SANDBOX = "sandbox"
    PRICES = "prices"
    SETTLEMENT = "settlement"
    ENGINE = "engine"


_PREFIX = {AppRole.API: "/api/v1", AppRole.PRICES: "", AppRole.SETTLEMENT: "", AppRole.ENGINE: ""}
_SUMMARY = {
    AppRole.API: "Exchange keys: sealed, verified, never shown again.",
    AppRole.PRICES: "Prices as exchanges told them, with their age; never made up.",
    AppRole.SETTLEMENT: "Pays withdrawals out, each once; answers the core alone.",
    AppRole.ENGINE: "Leads the venue, or stands by; says no more than whether it is well.",
}
# What everybody may know of the markets, from either role.
_MARKET = (price_routes.router, reference_routes.router, candle_routes.router)
# Asked in this order for every request: what is asked most stands first.
_ROUTERS: dict[AppRole, tuple[APIRouter, ...]] = {
    AppRole.API: (
        order_routes.router,
        credential_routes.router,
        passport_routes.router,
        account_routes.router,
        rotation_routes.router,
        profile_routes.router,
        withdrawal_routes.router,
        notification_routes.router,
        exchange_routes.router,
        auth_routes.router,
        user_routes.router,
        api_key_routes.router,
        price_alert_routes.router,
        webhook_routes.router,
        merchant_routes.router,
        pool_routes.router,
        dead_settlement_routes.router,
        audit_routes.router,
        request_log_routes.router,
        key_routes.router,
        price_routes.front_router,
        *_MARKET,
        venue_market_routes.router,
        wallet_routes.router,
        card_routes.router,
        live_routes.router,
    ),
    AppRole.PRICES: (price_routes.internal_router, *_MARKET),
    AppRole.SETTLEMENT: (settlement_routes.router,),
    # Orders reach it through Redis.
    AppRole.ENGINE: (),
}

# Served under paths of their own.
_UNPREFIXED: dict[AppRole, tuple[APIRouter, ...]] = {
    AppRole.API: (older_card_routes.router,),
    AppRole.PRICES: (),
    AppRole.SETTLEMENT: (),
    AppRole.ENGINE: (),
}

# Answered without FastAPI's detour (bench/credentials_list.py, prices.py, orders_http.py).
_HOT: dict[AppRole, tuple[Endpoint, ...]] = {
    AppRole.API: (
        credential_routes.list_credentials,
        price_routes.list_prices,
        order_routes.place_order,
        order_routes.place_orders,
    ),
    AppRole.PRICES: (price_routes.list_prices,),
    AppRole.SETTLEMENT: (),
    AppRole.ENGINE: (),
}


def create_app(role: AppRole, container: AnyContainer) -> FastAPI:
    """Return the app of one role on the services of `container`.

    Raises:
        ConfigurationError: a route declares no policy, or two.
    """
    settings = container.settings.server
    has_docs = settings.docs_enabled and bool(_ROUTERS[role])
    is_rehearsal = container.settings.exchange.exchange_mode is Environment.SANDBOX
    app = FastAPI(
        title="Strongroom",
        summary=_SUMMARY[role],
        version=version("strongroom"),
        # Our own page: FastAPI's loads its scripts from a foreign host.
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if has_docs else None,
        # It would record the texts of exceptions, and asks on every request whether it may.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        routes=list(_routes(role)),
    )
    app.state.container = container
    if has_docs:
        app.include_router(docs_routes.router)
    install_problem_handlers(app, container.clock)
    # Added last, met first.
    app.add_middleware(HotPaths, hot=hot_paths(app, _HOT[role]), clock=container.clock)
    app.add_middleware(BodyLimit, limit_bytes=settings.body_limit_bytes, clock=container.clock)
    app.add_middleware(RequestContext, clock=container.clock, note=container.request_writer.note)
    app.add_middleware(WebsocketContext, origins=settings.cors_origins, clock=container.clock)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
        )
    if role is AppRole.SETTLEMENT and is_rehearsal:
        app.add_middleware(SettlementFaults, deck=SettlementFaultDeck())
    refuse_undeclared_routes(app)
    return app


@cache
def _routes(role: AppRole) -> tuple[BaseRoute, ...]:
    """Return the routes of a role: the same in every app, and a quarter of a second to work out."""
    every = APIRouter()
    for router in _ROUTERS[role]:
        every.include_router(router, prefix=_PREFIX[role])
    for router in (*_UNPREFIXED[role], health_routes.router):
        every.include_router(router)
    return tuple(every.routes)
