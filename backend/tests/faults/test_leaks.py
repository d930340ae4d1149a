"""Secrets go through every route, well and badly, and are then looked for wherever they could be.

The database as dump, as data files and as write-ahead log, Valkey's keys and its snapshot, the log
at DEBUG with its tracebacks, every answer, and what child processes show of themselves. The control
is a word that goes the same ways openly, and is found in each of these places.
"""

import asyncio
import base64
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.embedded import EmbeddedPostgres
from backend.app.embedded.home import Home
from backend.app.enums import Environment
from backend.app.exchanges.connector import Connector, ConnectorSettings
from backend.app.exchanges.key_information import Balance, OpenOrders
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.verification import ExchangeKeys, Verification
from backend.app.main import AppRole, create_app
from backend.app.migrations import migrate
from backend.tests.support.leaks import (
    dump_of,
    files_below,
    forms,
    found_in,
    published_by_children,
)
from backend.tests.support.logs import house_logging
from backend.tests.support.sandbox import RunningSandbox
from backend.tests.support.seeded_reasons import CASES, keys_for
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.valkey import Valkey

# Short enough to pass the scrubber, so that it shows where it comes by.
CONTROL = "ctl-word-77"
JSON = {"Content-Type": "application/json"}
API = "/api/v1"
VALKEY_PASSWORD = secrets.token_hex(24)


class Exploding:
    """The real connector, until a key asks for a defect whose text holds all that was opened."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    async def verify(self, exchange: str, keys: ExchangeKeys) -> Verification:
        if keys.api_key.startswith("explode"):
            raise RuntimeError(f"{CONTROL}: {keys.reveal()!r} {_opened(keys)}")
        return await self._connector.verify(exchange, keys)

    async def balances(self, exchange: str, keys: ExchangeKeys) -> tuple[Balance, ...]:
        return await self._connector.balances(exchange, keys)

    async def open_orders(self, exchange: str, keys: ExchangeKeys) -> OpenOrders:
        return await self._connector.open_orders(exchange, keys)

    async def close(self) -> None:
        await self._connector.close()


def _opened(keys: ExchangeKeys) -> str:
    opened = keys.reveal()
    return f"{opened.api_secret} {opened.passphrase}"


@dataclass
class Story:
    """What was sent that must not stay anywhere, and everything that came back."""

    client: AsyncClient
    canaries: dict[str, bytes] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    def canary(self, name: str, made: str | None = None) -> str:
        """Return a secret that is looked for afterwards."""
        canary = made or secrets.token_hex(24)
        self.canaries[f"{name} {len(self.canaries)}"] = canary.encode()
        return canary

    async def ask(self, method: str, path: str, who: str | None = None, **request: Any) -> Any:
        """Send a request, keep its answer, and return that."""
        headers = {**request.pop("headers", {})}
        if who is not None:
            headers["Authorization"] = f"Bearer {who}"
        answer = await self.client.request(method, API + path, headers=headers, **request)
        self.statuses.add(answer.status_code)
        self.answers.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return json.loads(answer.text or "{}")

    async def issue(self, path: str, body: dict[str, str]) -> tuple[str, str]:
        """Ask for tokens; this answer alone may hold them."""
        tokens = await self.ask("POST", path, json=body)
        self.answers.pop()
        return self.canary("access", tokens["access"]), self.canary("refresh", tokens["refresh"])


@dataclass(frozen=True)
class Served:
    """A running house, and what is told of it."""

    container: Container
    story: Story


def pair(story: Story, exchange: str = "binance", **other: Any) -> dict[str, Any]:
    """Return a key pair made of canaries."""
    members = {
        "exchange_name": exchange,
        "api_key": story.canary("api_key"),
        "api_secret": story.canary("api_secret"),
    }
    if exchange in {"okx", "kucoin", "bitget"}:
        members["passphrase"] = story.canary("passphrase")
    return {**members, **other}


async def sign_in(story: Story) -> tuple[str, str]:
    """Register and come in, with every way of failing at it; return the tokens."""
    password, other = story.canary("password"), story.canary("password")
    person = {"username": "alice", "email": "alice@example.com", "full_name": CONTROL}
    await story.ask("POST", "/auth/register", json={**person, "password": password})
    await story.ask("POST", "/auth/register", json={**person, "password": password})
    await story.ask("POST", "/auth/register", json={**person, "password": other + "\0"})
    await story.ask("POST", "/auth/register", json={**person, "passwords": other})
    await story.ask("POST", "/auth/token", json={"username": "alice", "password": other})
    await story.ask("POST", "/auth/token", json={"username": other, "password": password})
    login = {"username": "alice", "password": password}
    access, refresh = await story.issue("/auth/token", login)
    access, refresh = await story.issue("/auth/refresh", {"refresh": refresh})
    await story.ask("POST", "/auth/refresh", json={"refresh": secrets.token_urlsafe(32)})
    await story.ask("POST", "/auth/refresh", json={"refresh": [refresh]})
    change = {"current_password": other, "new_password": story.canary("password")}
    await story.ask("POST", "/me/password", access, json=change)
    change = {"current_password": password, "new_password": story.canary("password")}
    await story.ask("POST", "/me/password", access, json=change)
    await story.ask("GET", f"/me?token={story.canary('query')}", access)
    await story.ask("GET", "/me", story.canary("no token at all"))
    await story.ask("GET", "/users", access)
    return access, refresh


async def use_the_sandbox(story: Story, access: str, sandbox: RunningSandbox) -> None:
    """Bind, try, verify and change real keys on all eight, and every bad one."""
    for exchange in SUPPORTED:
        for name in ("full", "second"):
            keys = sandbox.account(exchange, name).keys
            body = {"exchange_name": exchange, "label": CONTROL, **_as_sent(story, keys)}
            bound = await story.ask("POST", "/credentials", access, json=body)
            assert bound.get("label") == CONTROL, bound
        await story.ask("POST", f"/credentials/{bound['id']}/verify", access)
        wrong = {"api_secret": story.canary("wrong secret")}
        await story.ask("PUT", f"/credentials/{bound['id']}", access, json=wrong)
        await story.ask("PUT", f"/credentials/{bound['id']}", access, json={**wrong, "verify": 0})
        await story.ask("GET", f"/credentials/{bound['id']}", access)
        await story.ask("GET", "/credentials", access)
    for exchange, name in CASES:
        body = {"exchange_name": exchange, **_as_sent(story, keys_for(sandbox, exchange, name))}
        await story.ask("POST", "/exchange/verify", access, json=body)
        await story.ask("POST", "/credentials", access, json=body)


def _as_sent(story: Story, keys: Any) -> dict[str, str]:
    sent = {"api_key": keys.api_key, "api_secret": keys.api_secret}
    if keys.passphrase is not None:
        sent["passphrase"] = keys.passphrase
    # A key's id is stored readable, so it is looked for everywhere but in the database.
    return {name: story.canary(name, value) for name, value in sent.items()}


async def send_bad_input(story: Story, access: str) -> None:
    """Put secrets wherever they do not belong."""
    bad: list[dict[str, Any]] = [
        pair(story, "okx", passphrase=None),
        pair(story, "binance", passphrase=story.canary("surplus passphrase")),
        pair(story, story.canary("exchange name")),
        pair(story, exchange_name=[story.canary("in a list")]),
        pair(story, api_key=story.canary("key with break") + "\n"),
        pair(story, api_secret=story.canary("secret with break") + "\n"),
        pair(story, api_secret={story.canary("a name inside"): story.canary("a value inside")}),
        pair(story, verify=story.canary("no boolean")),
        pair(story, label=story.canary("no label") + "\n"),
        pair(story, **{story.canary("unknown name"): story.canary("unknown value")}),
        pair(story, secret=story.canary("value of an unknown name")),
        pair(story, label=story.canary("oversized") * 4_000),
    ]
    for body in bad:
        for path in ("/credentials", "/exchange/verify"):
            await story.ask("POST", path, access, json=body)
    whole = json.dumps(pair(story))
    for malformed in (whole[:-1], whole[:-3], f"{whole} {whole}", f"[{whole}", whole[20:]):
        await story.ask("POST", "/credentials", access, content=malformed.encode(), headers=JSON)
    kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b")
    for kind in kinds:
        sent = {"Content-Type": kind}
        await story.ask("POST", "/credentials", access, content=whole.encode(), headers=sent)
    hidden = story.canary("in the path")
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        await story.ask(
            method, f"/credentials/{hidden}?k={hidden}", access, headers={"X-K": hidden}
        )
    await story.ask(hidden.upper(), "/credentials", access)


async def break_things(story: Story, access: str, container: Container) -> None:
    """Provoke defects: in the connector, with everything opened, and in the database."""
    explosive = pair(story, "okx", api_key=story.canary("key", "explode" + secrets.token_hex(16)))
    await story.ask("POST", "/credentials", access, json=explosive)
    await story.ask("POST", "/exchange/verify", access, json=explosive)
    await _rename(container, "audit_chain_heads", "away")
    await story.ask("POST", "/credentials", access, json=pair(story, "okx", verify=False))
    await _rename(container, "away", "audit_chain_heads")
    await _rename(container, "api_credentials", "away")
    await story.ask("POST", "/credentials", access, json=pair(story, "okx", verify=False))
    await story.ask("GET", "/credentials/1", access)
    await _rename(container, "away", "api_credentials")


async def _rename(container: Container, name: str, other: str) -> None:
    async with container.database.transaction() as session:
        await session.execute(text(f"ALTER TABLE {name} RENAME TO {other}"))


@contextmanager
def _child_with_the_control() -> Iterator[None]:
    program = [sys.executable, "-c", "import sys; sys.stdin.read()", CONTROL]
    with subprocess.Popen(program, stdin=subprocess.PIPE) as child:
        yield
        child.communicate()


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="leaks-") as name:
        yield Path(name)


def leaky_settings(sandbox: RunningSandbox, valkey: Valkey) -> Settings:
    settings = settings_for_tests(sandbox_url=sandbox.base_url)
    cache = settings.cache.model_copy(update={"redis_url": SecretStr(valkey.url)})
    server = settings.server.model_copy(update={"log_level": "DEBUG"})
    return replace(settings, cache=cache, server=server)


def house_secrets(settings: Settings, home: Home) -> dict[str, bytes]:
    sealing, signing = settings.vault.encryption_key, settings.auth.jwt_secret
    assert sealing is not None
    assert signing is not None
    return {
        "ENCRYPTION_KEY": sealing.get_secret_value().encode(),
        "JWT_SECRET": signing.get_secret_value().encode(),
        "Valkey's password": VALKEY_PASSWORD.encode(),
        "database password": home.password().encode(),
    }


@asynccontextmanager
async def served(settings: Settings, url: str, sandbox_url: str) -> AsyncIterator[Served]:
    """Run the house, with a connector that can be made to break, until the block ends."""
    world = ConnectorSettings(Environment.SANDBOX, sandbox_url)
    container = Container(settings, url, utc_now, Exploding(Connector(world)))
    transport = ASGITransport(app=create_app(AppRole.API, container), raise_app_exceptions=False)
    await container.start()
    try:
        async with AsyncClient(transport=transport, base_url="http://test") as client:
            yield Served(container, Story(client))
    finally:
        await container.stop()


@asynccontextmanager
async def postgres_in(home: Home) -> AsyncIterator[str]:
    postgres = EmbeddedPostgres(home.root)
    url = await postgres.start()
    try:
        await asyncio.to_thread(migrate, url)
        yield url
    finally:
        # Stopping it writes everything it holds in memory to its files.
        await postgres.stop()


async def tell(story: Story, container: Container, sandbox: RunningSandbox) -> None:
    access, _ = await sign_in(story)
    await use_the_sandbox(story, access, sandbox)
    await send_bad_input(story, access)
    await break_things(story, access, container)
    await story.ask("GET", f"/credentials/{2**62}", access)
    await story.ask("GET", "/credentials", access)
    await story.ask("GET", "/me", access, headers={"X-Request-ID": CONTROL})
    await story.ask("POST", "/auth/logout", access)


@pytest.mark.slow
async def test_no_secret_is_left_anywhere(directory: Path, sandbox: RunningSandbox) -> None:
    home, valkey_home = Home(directory / "postgres"), directory / "valkey"
    valkey_home.mkdir()
    with house_logging("DEBUG") as log:
        async with postgres_in(home) as url:
            with (
                Valkey(valkey_home, password=VALKEY_PASSWORD, keeps_snapshots=True) as valkey,
                _child_with_the_control(),
            ):
                valkey.command("CONFIG", "SET", "rdbcompression", "no")
                settings = leaky_settings(sandbox, valkey)
                async with served(settings, url, sandbox.base_url) as house:
                    story = house.story
                    await tell(story, house.container, sandbox)
                    valkey.command("SAVE")
                    keys = b"".join([*valkey.dump(), *filter(None, valkey.dump().values())])
                    children = published_by_children()
                    dump = await asyncio.to_thread(dump_of, url)
                snapshot = files_below(valkey_home)
    cluster = files_below(home.root, leave_out=[home.password_file])
    in_the_database = {"dump": dump, "cluster": cluster}
    elsewhere = {
        "valkey's keys": keys,
        "valkey's files": snapshot,
        "answers": "\n".join(story.answers).encode(),
        "child processes": children,
        "log": log.getvalue().encode(),
    }

    everywhere = {**in_the_database, **elsewhere}
    canaries = {**story.canaries, **house_secrets(settings, home)}
    readable = {name: made for name, made in canaries.items() if name.startswith("api_key")}
    never = {name: made for name, made in canaries.items() if name not in readable}
    assert found_in(everywhere, never) == []
    assert found_in(elsewhere, readable) == []
    # The story was told in full: everything good and bad has happened to these secrets.
    assert story.statuses >= {200, 201, 204, 400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503}
    assert len(canaries) > 200
    # The control: what went the same ways openly is found in each of these places.
    parts = {
        "data": files_below(home.data / "base"),
        "write-ahead log": files_below(home.data / "pg_wal"),
    }
    control = found_in({**everywhere, **parts}, {"control": CONTROL.encode()})
    assert {place for _, _, place in control} == everywhere.keys() | parts.keys()
    assert f"RuntimeError: {CONTROL}" in log.getvalue()


@pytest.mark.parametrize("form", forms(b"x"))
def test_a_secret_is_found_in_every_form_it_may_be_written_in(form: str) -> None:
    secret = b'canary "quoted" \\ 0123456789 /+?&= end'

    for needle in forms(secret)[form]:
        found = found_in({"somewhere": b"before" + needle + b"after"}, {"it": secret})
        assert ("it", form, "somewhere") in found


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("after", range(3))
def test_a_secret_in_the_middle_of_something_encoded_is_found(before: int, after: int) -> None:
    secret = b"canary-0123456789-canary"
    whole = b"b" * before + secret + b"a" * after

    for form, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
        found = found_in({"somewhere": encode(whole)}, {"it": secret})
        assert ("it", form, "somewhere") in found
