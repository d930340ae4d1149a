"""Bringing processes up and down: one role, or all of them on one machine."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from pydantic import SecretStr
from starlette.types import ASGIApp

from backend.app.config import AuditSettings, Settings, home_directory
from backend.app.container import Container
from backend.app.embedded.attachment import attached_url
from backend.app.embedded.supervisor import EmbeddedPostgres
from backend.app.engine_container import EngineContainer
from backend.app.enums import Environment
from backend.app.errors import ConfigurationError
from backend.app.first_start import ensure_secrets
from backend.app.logs import configure_logging
from backend.app.main import AnyContainer, AppRole, create_app
from backend.app.migrations import migrate
from backend.app.prices_container import PricesContainer
from backend.app.sandbox.app import Venue, create_sandbox_app
from backend.app.sandbox_container import SandboxContainer
from backend.app.services.password_service import new_password
from backend.app.services.user_service import FIRST_ADMINISTRATOR
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.serving import Served, listening, serve
from backend.app.settlement_container import SettlementContainer

Greeting = Callable[[list[Served], str | None], None]

ANCHOR_FILE: Final = "audit-anchors.jsonl"
_DATABASE_HOME: Final = "postgres"
_DOTENV: Final = Path(".env")

_Root = TypeVar("_Root", bound=AnyContainer | SandboxContainer)
# What each role that has a database is built from. Only `up` serves several from one.
_ROOTS: Final[Mapping[AppRole, Callable[[Settings, str], AnyContainer]]] = {
    AppRole.API: Container,
    AppRole.PRICES: PricesContainer,
    AppRole.SETTLEMENT: SettlementContainer,
    AppRole.ENGINE: EngineContainer,
}


async def run_everything(greet: Greeting) -> int:
    """Run all roles in this process until it is told to stop; `greet` once they serve.

    The greeting is handed the administrator's password at the very first start, and only then.
    """
    home = home_directory()
    settings = Settings.load(ensure_secrets(home), _DOTENV)
    configure_logging(settings.server)
    async with AsyncExitStack() as stack:
        # Ports first: a taken one is told before a database is started.
        api = stack.enter_context(_port(settings, AppRole.API))
        prices = stack.enter_context(_port(settings, AppRole.PRICES))
        settlement = stack.enter_context(_port(settings, AppRole.SETTLEMENT))
        settings = _with_settlement_at(_with_anchors_in(settings, home), settlement)
        sandbox: socket.socket | None = None
        if settings.exchange.exchange_mode is Environment.SANDBOX:
            sandbox = stack.enter_context(_port(settings, AppRole.SANDBOX))
            settings = _with_sandbox_at(settings, sandbox)
        url = await stack.enter_async_context(_database(settings, home))
        await asyncio.to_thread(migrate, direct_url(settings) or url)
        container = Container(settings, url, keeps_market=True)
        await stack.enter_async_context(_running(container))
        settling = SettlementContainer(settings, url)
        await stack.enter_async_context(_running(settling))
        password = await _first_password(container)
        served = [
            Served(role, create_app(role, container), listener)
            for role, listener in ((AppRole.API, api), (AppRole.PRICES, prices))
        ]
        settlement_app = create_app(AppRole.SETTLEMENT, settling)
        served.append(Served(AppRole.SETTLEMENT, settlement_app, settlement))
        if sandbox is not None:
            # Its exchanges trade on the same venue as everybody.
            venue = Venue(container.venue.desk(SPOT_SHARD), container.database)
            served.append(Served(AppRole.SANDBOX, _sandbox_app(settings, venue), sandbox))
        await serve(
            served,
            settings.server,
            on_ready=lambda: greet(served, password),
            on_stop=container.drain,
        )
    return 0


async def run_role(role: AppRole, greet: Greeting) -> int:
    """Run one role until it is told to stop; all but the sandbox need DATABASE_URL."""
    settings = Settings.load(_DOTENV)
    configure_logging(settings.server)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_port(settings, role))
        if role is AppRole.SANDBOX:
            venue = await stack.enter_async_context(_venue(settings))
            app, on_stop = _sandbox_app(settings, venue), _nothing
        else:
            url = configured_url(settings)
            container = _ROOTS[role](settings, url)
            await stack.enter_async_context(_running(container))
            app, on_stop = create_app(role, container), container.drain
        served = [Served(role, app, listener)]
        await serve(served, settings.server, on_ready=lambda: greet(served, None), on_stop=on_stop)
    return 0


async def migrate_configured() -> int:
    """Bring the configured database to the newest form."""
    settings = Settings.load(_DOTENV)
    configure_logging(settings.server)
    await asyncio.to_thread(migrate, direct_url(settings) or configured_url(settings))
    return 0


async def reset_password(username: str) -> int:
    """Give a user a new random password and print it, this once.

    Works on the configured database, or on the one `up` keeps while `up` is not running. Where
    no administrator was ever entered, `admin` is: a served installation begins this way.
    """
    home = home_directory()
    settings = Settings.load(ensure_secrets(home), _DOTENV)
    configure_logging(settings.server)
    async with _database(settings, home) as url, _running(Container(settings, url)) as container:
        if username == FIRST_ADMINISTRATOR:
            await container.users.ensure_administrator(new_password())
        password = await container.users.reset_password(username)
        print(password.get_secret_value())  # noqa: T201 - shown once: the verb's result
    return 0


async def _first_password(container: Container) -> str | None:
    password = new_password()
    return (
        password.get_secret_value()
        if await container.users.ensure_administrator(password)
        else None
    )


def configured_url(settings: Settings) -> str:
    """Return the address of the database.

    Raises:
        ConfigurationError: there is none.
    """
    url = settings.database.database_url
    if url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set. Expected form: "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE. "
            "To run without a database server of your own: strongroom up"
        )
    return url.get_secret_value()


def direct_url(settings: Settings) -> str | None:
    """Return the way past the pooler, if there is one: migrations hold a lock of a session."""
    direct = settings.database.database_direct_url
    return None if direct is None else direct.get_secret_value()


@asynccontextmanager
async def _database(settings: Settings, home: Path) -> AsyncIterator[str]:
    if settings.database.database_url is not None:
        yield configured_url(settings)
        return
    postgres = EmbeddedPostgres(home / _DATABASE_HOME)
    url = await postgres.start()
    try:
        yield url
    finally:
        await postgres.stop()


@asynccontextmanager
async def _venue(settings: Settings) -> AsyncIterator[Venue | None]:
    """Yield the way to the venue; None where there is no database, or no Redis to be heard by.

    The sandbox's exchanges then trade on a market in memory.
    """
    url = settings.database.database_url
    if url is None or settings.cache.redis_url is None:
        yield None
        return
    async with _running(SandboxContainer(settings, url.get_secret_value())) as container:
        yield Venue(container.venue.desk(SPOT_SHARD), container.database)


@asynccontextmanager
async def reachable_database(settings: Settings, home: Path) -> AsyncIterator[str]:
    """Yield the address of the database, also of the one that a running `up` keeps.

    Only where nobody runs it is the embedded one started, for as long as the block lasts.
    """
    running = None
    if settings.database.database_url is None:
        running = attached_url(home / _DATABASE_HOME)
    if running is not None:
        yield running
        return
    async with _database(settings, home) as url:
        yield url


@asynccontextmanager
async def _running(container: _Root) -> AsyncIterator[_Root]:
    try:
        await container.start()
        yield container
    finally:
        await container.stop()


def _port(settings: Settings, role: AppRole) -> AbstractContextManager[socket.socket]:
    ports = {
        AppRole.API: (settings.server.api_port, "API_PORT"),
        AppRole.SANDBOX: (settings.server.sandbox_port, "SANDBOX_PORT"),
        AppRole.PRICES: (settings.server.prices_port, "PRICES_PORT"),
        AppRole.SETTLEMENT: (settings.server.settlement_port, "SETTLEMENT_PORT"),
        AppRole.ENGINE: (settings.server.engine_port, "ENGINE_PORT"),
    }
    return listening(settings.server.bind_host, *ports[role])


def _with_sandbox_at(settings: Settings, listener: socket.socket) -> Settings:
    """Point exchange traffic at the sandbox of this very process, whatever port it got."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return replace(settings, exchange=settings.exchange.model_copy(update={"sandbox_url": url}))


def _with_settlement_at(settings: Settings, listener: socket.socket) -> Settings:
    """Pay out through the settlement of this very process, unless told of another."""
    token = settings.settlement.settlement_token or SecretStr(secrets.token_urlsafe(48))
    url = settings.settlement.settlement_url or f"http://127.0.0.1:{listener.getsockname()[1]}"
    told = {"settlement_url": url, "settlement_token": token}
    return replace(settings, settlement=settings.settlement.model_copy(update=told))


def _with_anchors_in(settings: Settings, home: Path) -> Settings:
    """Keep anchors of the audit trail in the home, unless told where."""
    file = settings.audit.audit_anchor_file or home / ANCHOR_FILE
    return replace(settings, audit=AuditSettings(_env_file=None, audit_anchor_file=file))


def _sandbox_app(settings: Settings, venue: Venue | None = None) -> ASGIApp:
    seed = settings.exchange.sandbox_seed
    if seed is None:
        raise ConfigurationError(
            "SANDBOX_SEED is not set: the sandbox makes its accounts' keys from it. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return create_sandbox_app(seed.get_secret_value(), venue=venue)


def _nothing() -> None:
    """Stop without further ado."""
