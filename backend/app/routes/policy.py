"""Who may use a route. Every route declares exactly one policy, or the app does not start.

A policy is a FastAPI dependency: `dependencies=[Depends(PUBLIC)]`, or a parameter such as
`user: CurrentUser`, which declares and hands over the person in one step. A protected policy is
at the same time the security scheme that `/docs` shows.
"""

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import RouteContext, iter_route_contexts
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.types import Scope

from backend.app.enums import Role
from backend.app.errors import ConfigurationError
from backend.app.services.principal import Principal
from backend.app.services.session_guard import SessionGuard


class Public:
    """Anybody may ask, signed in or not."""

    async def __call__(self) -> None:
        """Let everybody pass."""


class Policy(SecurityBase):
    """Only signed-in people of these roles may ask."""

    scheme_name = "bearer"
    model = HTTPBearer(bearerFormat="JWT", description="The access token of POST /auth/token.")

    def __init__(self, *roles: Role) -> None:
        self.roles: Final = frozenset(roles)

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Return who is asking.

        Raises:
            Unauthenticated: nobody, or a token that is not accepted.
            Forbidden: the role is not one of ours.
        """
        # Straight from the scope: this runs on every request, and Starlette's views of it are slow.
        scope = connection.scope
        guard: SessionGuard = scope["app"].state.container.session_guard
        client = scope.get("client")
        principal = await guard.admit(
            _authorization(scope),
            request_id=scope.get("state", {}).get("request_id"),
            address=client[0] if client else None,
        )
        if principal.role not in self.roles:
            raise await guard.deny(principal, scope["endpoint"].__name__)
        return principal


PUBLIC: Final = Public()
SIGNED_IN: Final = Policy(*Role)
ADMINISTRATION: Final = Policy(Role.ADMIN)

CurrentUser = Annotated[Principal, Depends(SIGNED_IN)]
Administrator = Annotated[Principal, Depends(ADMINISTRATION)]


def declared_policies(app: FastAPI) -> Iterator[tuple[RouteContext, list[Public | Policy]]]:
    """Walk every route of an app, however deeply included, with the policies it declares."""
    own_pages = {app.openapi_url, app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url}
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        if isinstance(dependant, Dependant):
            yield route, _policies_of(dependant)
        else:
            # FastAPI's own documentation pages are the only plain routes that need no policy.
            yield route, [PUBLIC] if route.path in own_pages else []


def undeclared_routes(app: FastAPI) -> list[str]:
    """Return the routes that declare no policy, or more than one."""
    return [
        f"{' '.join(sorted(route.methods or ()))} {route.path}".strip()
        for route, policies in declared_policies(app)
        if len(policies) != 1
    ]


def refuse_undeclared_routes(app: FastAPI) -> None:
    """Let an app start only if every route says who may use it.

    Raises:
        ConfigurationError: a route declares no policy, or more than one.
    """
    if undeclared := undeclared_routes(app):
        raise ConfigurationError(
            "These routes do not declare exactly one access policy: " + ", ".join(undeclared)
        )


def _policies_of(dependant: Dependant) -> list[Public | Policy]:
    found: list[Public | Policy] = []
    for needed in dependant.dependencies:
        if isinstance(needed.call, Public | Policy):
            found.append(needed.call)
        found.extend(_policies_of(needed))
    # The same policy declared by a router and by a parameter is one policy.
    return list({id(policy): policy for policy in found}.values())


def _authorization(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return bytes(value).decode("latin-1")
    return None
