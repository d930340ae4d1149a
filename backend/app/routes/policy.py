"""Who may use a route. Every route declares exactly one policy, or the app does not start.

A policy is a FastAPI dependency: `dependencies=[Depends(PUBLIC)]`, or a parameter such as
`user: CurrentUser`, which declares and hands over the person in one step. A protected policy is
at the same time the security scheme that `/docs` shows. A policy that names no scope is closed to
platform keys; one that names a scope is open to the keys that hold it.
"""

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.routing import RouteContext, iter_route_contexts
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from backend.app.container import Container
from backend.app.enums import KeyScope, Role
from backend.app.errors import ConfigurationError, Unauthenticated
from backend.app.market_container import MarketContainer
from backend.app.request_entry import KEY_PREFIX, USER_ID
from backend.app.services.principal import Principal
from backend.app.services.request_signature import Asked
from backend.app.services.settlement.token_door import TOKEN_HEADER
from backend.app.services.venue.identities import identified
from backend.app.settlement_container import SettlementContainer

_KEY_IN_AUTHORIZATION: Final = "bearer srk_"
_TOKEN_HEADER_SENT: Final = TOKEN_HEADER.lower().encode()
_SCHEME_LENGTH: Final = len("bearer ")


_DESCRIPTION: Final = (
    "The access token of POST /auth/token, or a platform key (`srk_...`) of POST /api-keys."
)


class Public:
    """Anybody may ask, signed in or not; but for those who watch over us, not too often."""

    def __init__(self, *, is_limited: bool = True) -> None:
        self.is_limited: Final = is_limited

    async def __call__(self, connection: HTTPConnection) -> None:
        """Let everybody pass.

        Raises:
            RequestsThrottled: this address asks too often.
        """
        if self.is_limited:
            await _count_address(connection.scope)


class Policy(SecurityBase):
    """Only people of these roles may ask, and their platform keys if those hold the scope."""

    scheme_name = "bearer"
    model = HTTPBearer(bearerFormat="JWT", description=_DESCRIPTION)

    def __init__(self, *roles: Role, scope: KeyScope | None = None) -> None:
        self.roles: Final = frozenset(roles)
        self.scope: Final = scope

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Return who is asking.

        Raises:
            Unauthenticated: nobody, or a token or key that is not accepted.
            Forbidden: the role is not one of ours, or the key lacks the scope.
            RequestsThrottled: this person, or who cannot say who it is, asks too often.
        """
        # Straight from the scope: this runs on every request, and Starlette's views of it are slow.
        scope = connection.scope
        services: Container = scope["app"].state.container
        try:
            principal = await self._admit(connection, services)
        except Unauthenticated:
            await _count_address(scope)
            raise
        state = scope.setdefault("state", {})
        state[USER_ID], state[KEY_PREFIX] = principal.user_id, principal.key_prefix
        await services.requests.count_user(principal.user_id, state)
        purpose = scope["endpoint"].__name__
        if principal.key_prefix is not None and self.scope not in principal.scopes:
            raise await services.guards.keys.deny(principal, self.scope, purpose)
        if principal.role not in self.roles:
            raise await services.guards.sessions.deny(principal, purpose)
        return principal

    async def _admit(self, connection: HTTPConnection, services: Container) -> Principal:
        scope = connection.scope
        authorization = _header(scope, b"authorization")
        key = _presented_key(scope, authorization)
        if key is not None:
            return await self._admit_key(key, connection, services)
        return await services.guards.sessions.admit(
            authorization, request_id=_request_id(scope), address=_address(scope)
        )

    async def _admit_key(
        self, key: str, connection: HTTPConnection, services: Container
    ) -> Principal:
        scope = connection.scope
        return await services.guards.keys.admit(
            key, _asked(connection), request_id=_request_id(scope), address=_address(scope)
        )


class OlderCardPolicy(Policy):
    """As any policy; and where the operator has named a header, whom the proxy in front names."""

    async def _admit(self, connection: HTTPConnection, services: Container) -> Principal:
        scope = connection.scope
        name = services.settings.venue.card_identity_header
        number = None if name is None else _header(scope, name.lower().encode())
        # Whoever sends an Authorization header is judged by that alone.
        if number is None or _header(scope, b"authorization") is not None:
            return await super()._admit(connection, services)
        return identified(number, request_id=_request_id(scope), address=_address(scope))


class InternalKey(SecurityBase):
    """Only other services of this installation may ask: those that know the internal key."""

    scheme_name = "internal"
    model = APIKey.model_validate({"in": APIKeyIn.header, "name": "X-Internal-Key"})

    async def __call__(self, connection: HTTPConnection) -> None:
        """Let pass whoever shows the key.

        Raises:
            Unauthenticated: none is shown.
            InternalKeyRefused: it is another one.
            InternalDoorClosed: this service has none.
        """
        market: MarketContainer = connection.scope["app"].state.container.market
        market.internal_door.admit(_header(connection.scope, b"x-internal-key"))


class SettlementToken(SecurityBase):
    """Only the core may ask: whoever knows a token of the settlement."""

    scheme_name = "settlement"
    model = APIKey.model_validate({"in": APIKeyIn.header, "name": TOKEN_HEADER})

    async def __call__(self, connection: HTTPConnection) -> None:
        """Let pass whoever shows a token.

        Raises:
            Unauthenticated: none is shown.
            InternalKeyRefused: it is another one.
        """
        services: SettlementContainer = connection.scope["app"].state.container
        services.settlement_door.admit(_header(connection.scope, _TOKEN_HEADER_SENT))


AnyPolicy = Public | Policy | InternalKey | SettlementToken

PUBLIC: Final = Public()
INTERNAL: Final = InternalKey()
SETTLING: Final = SettlementToken()
# Load balancers ask often, from one address, and must be answered.
WATCHING: Final = Public(is_limited=False)
SIGNED_IN: Final = Policy(*Role)
READING: Final = Policy(*Role, scope=KeyScope.READ)
TRADING: Final = Policy(*Role, scope=KeyScope.TRADE)
WITHDRAWING: Final = Policy(Role.MERCHANT, scope=KeyScope.WITHDRAW)
CARD_READING: Final = OlderCardPolicy(*Role, scope=KeyScope.READ)
CARD_TRADING: Final = OlderCardPolicy(*Role, scope=KeyScope.TRADE)
MANAGING: Final = Policy(*Role, scope=KeyScope.ADMIN)
ADMINISTRATION: Final = Policy(Role.ADMIN, scope=KeyScope.ADMIN)
ADMINISTRATION_IN_SESSION: Final = Policy(Role.ADMIN)
AUDITING: Final = Policy(Role.AUDITOR, Role.ADMIN, scope=KeyScope.ADMIN)

# Nobody but a person who signed in.
CurrentUser = Annotated[Principal, Depends(SIGNED_IN)]
AdministratorInSession = Annotated[Principal, Depends(ADMINISTRATION_IN_SESSION)]
# That person, or a key: one that looks, one that acts at exchanges, one that takes money out, one
# that changes what is held.
Reader = Annotated[Principal, Depends(READING)]
Trader = Annotated[Principal, Depends(TRADING)]
Withdrawer = Annotated[Principal, Depends(WITHDRAWING)]
CardReader = Annotated[Principal, Depends(CARD_READING)]
CardTrader = Annotated[Principal, Depends(CARD_TRADING)]
Manager = Annotated[Principal, Depends(MANAGING)]
Administrator = Annotated[Principal, Depends(ADMINISTRATION)]
AuditReader = Annotated[Principal, Depends(AUDITING)]


def declared_policies(app: FastAPI) -> Iterator[tuple[RouteContext, list[AnyPolicy]]]:
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


def _policies_of(dependant: Dependant) -> list[AnyPolicy]:
    found: list[AnyPolicy] = []
    for needed in dependant.dependencies:
        if isinstance(needed.call, AnyPolicy):
            found.append(needed.call)
        found.extend(_policies_of(needed))
    # The same policy declared by a router and by a parameter is one policy.
    return list({id(policy): policy for policy in found}.values())


async def _count_address(scope: Scope) -> None:
    services: Container = scope["app"].state.container
    await services.requests.count_address(_address(scope), scope.setdefault("state", {}))


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value).decode("latin-1")
    return None


def _presented_key(scope: Scope, authorization: str | None) -> str | None:
    # Whoever sends an Authorization header is judged by that alone.
    if authorization is None:
        return _header(scope, b"x-sr-key")
    if authorization[: len(_KEY_IN_AUTHORIZATION)].lower() == _KEY_IN_AUTHORIZATION:
        return authorization[_SCHEME_LENGTH:]
    return None


def _request_id(scope: Scope) -> str | None:
    state: dict[str, str] = scope.get("state", {})
    return state.get("request_id")


def _address(scope: Scope) -> str | None:
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else None


def _asked(connection: HTTPConnection) -> Asked:
    scope = connection.scope
    path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    return Asked(
        method=scope.get("method", "GET"),
        target=path + b"?" + query if query else path,
        timestamp=_header(scope, b"x-sr-timestamp"),
        nonce=_header(scope, b"x-sr-nonce"),
        signature=_header(scope, b"x-sr-signature"),
        # FastAPI hands every dependency the one request it reads the body from, which keeps what
        # was read; a websocket's handshake has none.
        body=connection.body if isinstance(connection, Request) else _no_body,
    )


async def _no_body() -> bytes:
    return b""
