"""Every route, asked by everybody, about everything: the answer follows the declared policy.

The rows are read off the app, so a new route is covered the moment it is added; what cannot be
read off the app stands in `backend.tests.support.access`, and a route missing there fails.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest
from fastapi.dependencies.models import Dependant
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import KeyScope, Role
from backend.app.main import AppRole, create_app
from backend.app.routes.policy import (
    AnyPolicy,
    InternalKey,
    Policy,
    Public,
    declared_policies,
)
from backend.app.services.token_service import TokenService
from backend.tests.support.access import CASES, OBJECTS, Case, World
from backend.tests.support.api_keys import api_key, key_headers
from backend.tests.support.people import Person, bearer

STRANGERS: Final = (
    "anonymous",
    "expired token",
    "revoked session",
    "garbage",
    "expired key",
    "revoked key",
    "key from elsewhere",
    "unknown key",
    "unsigned key",
)
CLOSED_TO_KEYS: Final = {
    "POST /api/v1/auth/logout",
    "PATCH /api/v1/me",
    "POST /api/v1/me/password",
    "GET /api/v1/api-keys",
    "POST /api/v1/api-keys",
    "DELETE /api/v1/api-keys/{key_id}",
    "POST /api/v1/webhooks",
    "PATCH /api/v1/webhooks/{webhook_id}",
    "GET /api/v1/users/{user_id}/api-keys",
    "DELETE /api/v1/users/{user_id}/api-keys",
}
SAME_FOR_ALL_REQUESTS: Final = ("type", "title", "status", "code", "detail")


@dataclass(frozen=True)
class Door:
    """One method of one route."""

    role: AppRole
    method: str
    path: str
    policy: AnyPolicy
    parameters: tuple[str, ...]
    takes_body: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def case(self) -> Case:
        return CASES.get(str(self), Case())

    @property
    def owned(self) -> bool:
        return any(OBJECTS[name].owned for name in self.parameters)


def doors(services: Container) -> Iterator[Door]:
    for role in (AppRole.API, AppRole.PRICES):
        yield from doors_of(role, services)


def doors_of(role: AppRole, services: Container) -> Iterator[Door]:
    for route, policies in declared_policies(create_app(role, services)):
        dependant = getattr(route, "dependant", None)
        parts = dependant if isinstance(dependant, Dependant) else Dependant()
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield Door(
                role,
                method,
                (route.path or "").replace(":path}", "}"),
                policies[0],
                tuple(each.name for each in parts.path_params),
                bool(parts.body_params),
            )


@pytest.fixture
async def world(client: AsyncClient, services: Container) -> AsyncIterator[World]:
    transport = ASGITransport(create_app(AppRole.PRICES, services), client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://prices") as prices:
        yield World(client, services, prices)


@pytest.fixture
def protected(services: Container) -> list[Door]:
    return [door for door in doors(services) if isinstance(door.policy, Policy)]


async def ask(
    world: World, door: Door, headers: dict[str, str], ids: dict[str, int | str]
) -> Response:
    body = door.case.body
    return await world.asks(door.role).request(
        door.method,
        door.path.format(**ids),
        headers={**headers, **door.case.headers()},
        json=body() if body is not None else None,
    )


@dataclass
class Visitor:
    """Somebody of a role, perhaps with a key, who owns what doors are asked about.

    They and theirs stay the same until an open door may have changed them: then what it named is
    made anew, and where it named nothing, the visitor.
    """

    world: World
    role: Role
    scope: KeyScope | None = None
    _person: Person | None = None
    _headers: dict[str, str] = field(default_factory=dict)
    _objects: dict[str, int | str] = field(default_factory=dict)

    async def ask(self, door: Door, *, is_open: bool) -> Response:
        """Ask about what is there and is the visitor's own."""
        if is_open:
            self._let_go(door, of_what_it_named=False)
        person, ids = await self.person(), await self.objects(door)
        answer = await ask(self.world, door, self._headers or person.headers, ids)
        if answer.status_code != 403:
            self._let_go(door)
        return answer

    def _let_go(self, door: Door, *, of_what_it_named: bool = True) -> None:
        """Forget what passing a door may have changed, or what may not have been changed before."""
        if door.method == "GET":
            return
        if not door.parameters:
            self._person = None
        elif of_what_it_named:
            for name in door.parameters:
                self._objects.pop(name, None)

    async def person(self) -> Person:
        if self._person is None:
            self._person = await self.world.somebody(self.role)
            self._objects = {}
            if self.scope is not None:
                key = await api_key(self.world.services, self._person, self.scope)
                self._headers = key_headers(key)
        return self._person

    async def objects(self, door: Door) -> dict[str, int | str]:
        """Return what the door's parameters name, made where there is none yet."""
        owner = await self.person()
        for name in door.parameters:
            if name not in self._objects:
                self._objects[name] = await OBJECTS[name].make(self.world, owner)
        return {name: self._objects[name] for name in door.parameters}


def missing(door: Door) -> dict[str, int | str]:
    return {name: OBJECTS[name].missing for name in door.parameters}


async def stranger(kind: str, world: World) -> dict[str, str]:
    """Return the headers of somebody who must not pass anywhere that is protected."""
    somebody = await world.somebody(Role.ADMIN)
    services = world.services
    if "key" in kind:
        return await _strange_key(kind, services, somebody)
    if kind == "anonymous":
        return {}
    if kind == "garbage":
        return bearer("garbage")
    if kind == "expired token":
        past = TokenService(services.settings.auth, lambda: services.clock() - timedelta(hours=2))
        token = past.issue(somebody.user_id, somebody.session_id, Role.ADMIN)
        return bearer(token.get_secret_value())
    async with services.database.transaction() as session:
        await session.execute(
            text("UPDATE auth_sessions SET revoked_at = now() WHERE id = :id"),
            {"id": somebody.session_id},
        )
    return somebody.headers


async def _strange_key(kind: str, services: Container, somebody: Person) -> dict[str, str]:
    changes: dict[str, Any] = {
        "key from elsewhere": {"networks": ["192.0.2.0/24"]},
        "unsigned key": {"signing": "hmac"},
    }.get(kind, {})
    key = await api_key(services, somebody, *KeyScope, **changes)
    statement = {
        "expired key": "UPDATE api_keys SET expires_at = :now WHERE key_id = :id",
        "revoked key": "UPDATE api_keys SET revoked_at = :now WHERE key_id = :id",
        "unknown key": "DELETE FROM api_keys WHERE key_id = :id",
    }.get(kind)
    if statement is not None:
        async with services.database.transaction() as session:
            await session.execute(text(statement), {"id": key.key_id, "now": services.clock()})
    return key_headers(key)


def shown(answer: Response) -> dict[str, Any]:
    problem = answer.json()
    if "message" in problem:
        # The older card API says no in its own form.
        return dict(problem)
    return {member: problem[member] for member in SAME_FOR_ALL_REQUESTS}


def test_every_route_is_covered(services: Container) -> None:
    every = list(doors(services))

    unknown = {name for door in every for name in door.parameters} - OBJECTS.keys()
    bodiless = [
        str(door)
        for door in every
        if isinstance(door.policy, Policy) and door.takes_body and door.case.body is None
    ]
    stale = CASES.keys() - {str(door) for door in every}

    assert len(every) > 15
    assert unknown == set(), "add these path parameters to OBJECTS"
    assert bodiless == [], "add bodies for these routes to CASES"
    assert stale == set(), "these routes are gone; remove them from CASES"


async def test_strangers_pass_public_doors_only(world: World, services: Container) -> None:
    strangers = {kind: await stranger(kind, world) for kind in STRANGERS}
    wrong = []

    for door in doors(services):
        # There are more doors than unknown keys a minute from one address.
        services.guards.keys._unknown.clear()
        for kind, headers in strangers.items():
            answer = await ask(world, door, headers, missing(door))
            refused = answer.status_code == 401
            if isinstance(door.policy, Policy):
                refused = refused and answer.headers.get("WWW-Authenticate") == "Bearer"
            if refused == isinstance(door.policy, Public) or answer.status_code in {403, 500}:
                wrong.append((kind, str(door), answer.status_code))

    assert wrong == []


async def test_internal_doors_open_to_the_internal_key_and_to_no_other(
    world: World, services: Container
) -> None:
    key = services.settings.market.internal_api_key
    assert key is not None
    right = {"X-Internal-Key": key.get_secret_value()}
    somebody = await world.somebody(Role.ADMIN)
    internal = [door for door in doors(services) if isinstance(door.policy, InternalKey)]

    for door in internal:
        answers = [
            await ask(world, door, headers, missing(door))
            for headers in (
                right,
                {"X-Internal-Key": right["X-Internal-Key"][:-1]},
                {"X-Internal-Key": "no ASCII: \u00e9".encode("latin-1")},
                somebody.headers,
            )
        ]
        # Nothing is known yet, so the right key learns that.
        assert [answer.status_code for answer in answers] == [503, 403, 403, 401], str(door)
        assert answers[0].json()["code"] == "market-data-unavailable"
    assert [str(door) for door in internal] == ["GET /internal/price"]


@pytest.mark.parametrize("role", Role)
async def test_each_role_passes_the_doors_its_policy_names(
    world: World, protected: list[Door], role: Role
) -> None:
    wrong, visitor = [], Visitor(world, role)

    for door in protected:
        allowed = isinstance(door.policy, Policy) and role in door.policy.roles
        answer = await visitor.ask(door, is_open=allowed)
        expected = door.case.statuses if allowed else frozenset({403})
        if answer.status_code not in expected:
            wrong.append((str(door), answer.status_code, sorted(expected)))

    assert wrong == []


@pytest.mark.parametrize("role", [Role.USER, Role.ADMIN])
@pytest.mark.parametrize("scope", KeyScope)
async def test_a_key_passes_the_doors_that_name_its_scope_and_its_persons_role(
    world: World, protected: list[Door], scope: KeyScope, role: Role
) -> None:
    wrong, visitor = [], Visitor(world, role, scope)

    for door in protected:
        allowed = (
            isinstance(door.policy, Policy)
            and door.policy.scope is scope
            and role in door.policy.roles
        )
        answer = await visitor.ask(door, is_open=allowed)
        expected = door.case.statuses if allowed else frozenset({403})
        if answer.status_code not in expected:
            wrong.append((str(door), answer.status_code, sorted(expected)))

    assert wrong == []


def test_what_only_a_person_may_do_names_no_scope(protected: list[Door]) -> None:
    closed = {
        str(door)
        for door in protected
        if isinstance(door.policy, Policy) and door.policy.scope is None
    }

    # Keys must not make keys, nor change how their person signs in.
    assert closed >= CLOSED_TO_KEYS


@pytest.mark.parametrize("role", Role)
async def test_what_is_anothers_is_answered_as_what_is_not_there(
    world: World, protected: list[Door], role: Role
) -> None:
    wrong, somebody, other = [], await world.somebody(role), Visitor(world, Role.USER)

    for door in protected:
        if not door.parameters:
            continue
        allowed = isinstance(door.policy, Policy) and role in door.policy.roles
        absent = await ask(world, door, somebody.headers, missing(door))
        foreign = absent
        if door.owned:
            ids = await other.objects(door)
            foreign = await ask(world, door, somebody.headers, ids)
        statuses = (absent.status_code, foreign.status_code)
        if statuses != ((404, 404) if allowed else (403, 403)) or shown(absent) != shown(foreign):
            wrong.append((str(door), *statuses))

    assert wrong == []


async def test_a_foreign_object_is_untouched_by_whoever_tried(
    world: World, protected: list[Door]
) -> None:
    owner, thief = Visitor(world, Role.USER), await world.somebody(Role.ADMIN)
    stolen = [door for door in protected if door.owned]
    # What an exchange is asked for anew every time is no object of the house.
    reading = {
        door.path: door
        for door in stolen
        if door.method == "GET" and door.case.statuses == Case().statuses
    }

    for door in stolen:
        # Where an object cannot be read back there is nothing to compare.
        reader = reading.get(door.path)
        if reader is None:
            continue
        ids, headers = await owner.objects(door), (await owner.person()).headers
        before = await ask(world, reader, headers, ids)
        await ask(world, door, thief.headers, ids)
        after = await ask(world, reader, headers, ids)

        assert (after.status_code, after.content) == (200, before.content), str(door)
