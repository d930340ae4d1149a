"""What the access matrix needs to know of a route beyond its policy.

A new route with a path parameter needs a line in `OBJECTS`, and one with a body a line in `CASES`;
until then the matrix fails and says which.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import NotificationKind, Role
from backend.app.main import AppRole
from backend.app.models.notification_event import NotificationEvent
from backend.app.repositories.notification_repository import NotificationRepository
from backend.tests.support import credit
from backend.tests.support.api_keys import api_key
from backend.tests.support.people import PASSWORD, Person, person

MISSING_ID: Final = 2**62
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class World:
    """Where objects are made."""

    client: AsyncClient
    services: Container
    prices: AsyncClient | None = None

    def asks(self, role: AppRole) -> AsyncClient:
        """Return who asks the app of a role."""
        return self.prices if role is AppRole.PRICES and self.prices else self.client

    async def somebody(self, role: Role = Role.USER) -> Person:
        """Return somebody new, signed in."""
        return await person(self.services, f"somebody{next(_NUMBERS)}", role)


@dataclass(frozen=True)
class Objects:
    """How a path parameter's objects are made, and whether they belong to somebody."""

    make: Callable[[World, Person], Awaitable[int | str]]
    owned: bool
    missing: int | str = MISSING_ID


@dataclass(frozen=True)
class Case:
    """A body and headers the route accepts, and what it may answer to one who is allowed."""

    body: Callable[[], Mapping[str, Any]] | None = None
    statuses: frozenset[int] = frozenset({200, 201, 204})
    headers: Callable[[], Mapping[str, str]] = dict


async def _user(world: World, _owner: Person) -> int:
    return (await world.somebody()).user_id


async def _credential(world: World, owner: Person) -> int:
    answer = await world.client.post(
        "/api/v1/credentials", json={**_key_pair(), "verify": False}, headers=owner.headers
    )
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def _api_key(world: World, owner: Person) -> str:
    return (await api_key(world.services, owner)).key_id


async def _notification(world: World, owner: Person) -> int:
    async with world.services.database.transaction() as session:
        event = NotificationEvent(
            user_id=owner.user_id,
            kind=NotificationKind.KEY_INVALID.value,
            facts={},
            created_at=world.services.clock(),
        )
        await NotificationRepository(session).add(event)
    return event.id


async def _nothing(_world: World, _owner: Person) -> str:
    # Market data is nobody's, and in these tests nobody has told any.
    return "NOPE"


async def _webhook(world: World, owner: Person) -> int:
    answer = await world.client.post("/api/v1/webhooks", json=_hook(), headers=owner.headers)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def tell_prices(world: World) -> None:
    """Let BTC/USDT be known, and have a price."""
    async with world.services.database.transaction() as session:
        for statement in _PRICED:
            at = {"at": world.services.clock()} if ":at" in statement else {}
            await session.execute(text(statement), at)
    await world.services.market.names.forget()


async def _alert(world: World, owner: Person) -> int:
    await tell_prices(world)
    answer = await world.client.post(
        "/api/v1/price-alerts", json=_wanted_price(), headers=owner.headers
    )
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def _wanted_price() -> dict[str, Any]:
    return {"symbol": "BTC/USDT", "condition": "above", "threshold": "60000"}


_PRICED: Final = (
    """
    INSERT INTO assets (code, name, base_precision) VALUES ('BTC', 'BTC', 8), ('USDT', 'USDT', 8)
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO symbols (exchange, symbol, compact, base_asset, quote_asset, tick_size, step_size,
        min_notional, is_active)
    VALUES ('binance', 'BTC/USDT', 'BTCUSDT', 'BTC', 'USDT', 0.01, 0.01, 1, true)
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO latest_prices (symbol, price, source, as_of, received_at, candidate_count)
    VALUES ('BTC/USDT', 50000, 'binance', :at, :at, 0) ON CONFLICT DO NOTHING
    """,
)


def _hook() -> dict[str, Any]:
    # RFC 2606: there is no such host, and nothing is sent anywhere.
    return {"name": "mine", "url": "https://webhook.invalid/"}


async def _merchant(world: World, _owner: Person) -> int:
    administrator = await world.somebody(Role.ADMIN)
    name = f"merchant{next(_NUMBERS)}"
    return (await credit.merchant(world.services, administrator, name)).user_id


async def _withdrawal(world: World, owner: Person) -> int:
    administrator = await world.somebody(Role.ADMIN)
    await credit.apply(world.services, owner)
    await credit.approve(world.services, administrator, owner)
    await credit.fund(world.services, administrator, "10.00")
    return (await credit.withdrawn(world.services, owner, "10.00")).id


async def _dead(world: World, _owner: Person) -> int:
    merchant = await world.somebody(Role.MERCHANT)
    withdrawal_id = await _withdrawal(world, merchant)
    async with world.services.database.transaction() as session:
        given_up = text("UPDATE withdrawals SET next_try_at = NULL WHERE id = :id")
        await session.execute(given_up, {"id": withdrawal_id})
    return withdrawal_id


def _key_pair() -> dict[str, Any]:
    return {
        "exchange_name": "binance",
        "api_key": f"matrix-key-{next(_NUMBERS):053d}",
        "api_secret": f"matrix-secret-{next(_NUMBERS):050d}",
    }


def _rotation() -> dict[str, Any]:
    pair = _key_pair()
    return {"api_key": pair["api_key"], "api_secret": pair["api_secret"]}


def _once() -> dict[str, str]:
    return {"Idempotency-Key": f"matrix-{next(_NUMBERS)}"}


def _new_user() -> dict[str, Any]:
    name = f"new{next(_NUMBERS)}"
    return {"username": name, "email": f"{name}@example.com", "password": PASSWORD}


# The exchange is away in this test; that the question got as far as it is what counts.
_ASKED_THE_EXCHANGE: Final = frozenset({200, 503})
_NOTHING_KEPT: Final = frozenset({404})
# No engine leads in these tests; that the question got as far as it is what counts.
_NO_ENGINE: Final = frozenset({503})


async def _order(world: World, owner: Person) -> int:
    return await _entered_order(world, owner, "PIKACHU", 2**40 - next(_NUMBERS))


async def _spot_order(world: World, owner: Person) -> int:
    return await _entered_order(world, owner, "BTC/USDT", 2**41 - next(_NUMBERS))


async def _named_order(world: World, owner: Person) -> str:
    return f"matrix-{await _spot_order(world, owner)}"


async def _entered_order(world: World, owner: Person, symbol: str, number: int) -> int:
    # The last numbers of a shard: an engine that runs gives the first ones.
    async with world.services.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO orders (id, account_id, instrument_id, side, price, quantity,"
                " executed_quantity, status, client_order_id, created_at, updated_at)"
                " SELECT :id, :account, id, 'buy', 250, 1, 0, 'open', :name, now(), now()"
                " FROM instruments WHERE symbol = :symbol"
            ),
            {
                "id": number,
                "account": owner.user_id,
                "symbol": symbol,
                "name": f"matrix-{number}",
            },
        )
    return number


def _card_order() -> dict[str, Any]:
    return {"card_id": 1, "side": "buy", "price": "2.50"}


def _spot_order_asked() -> dict[str, Any]:
    return {"symbol": "BTC/USDT", "side": "buy", "price": "60000", "quantity": "0.1"}


def _funds() -> dict[str, Any]:
    return {"asset": "USDT", "amount": "1.00"}


def _older_order() -> dict[str, Any]:
    return {"item_id": 1, "order_type": 1, "price": "2.50"}


OBJECTS: Final[Mapping[str, Objects]] = {
    "user_id": Objects(_user, owned=False),
    "credential_id": Objects(_credential, owned=True),
    "notification_id": Objects(_notification, owned=True),
    "webhook_id": Objects(_webhook, owned=True),
    "alert_id": Objects(_alert, owned=True),
    "merchant_id": Objects(_merchant, owned=False),
    "withdrawal_id": Objects(_withdrawal, owned=True),
    "dead_id": Objects(_dead, owned=False),
    "key_id": Objects(_api_key, owned=True, missing="missing0"),
    "order_id": Objects(_order, owned=True),
    "spot_order_id": Objects(_spot_order, owned=True),
    "client_order_id": Objects(_named_order, owned=True, missing="nobody-placed-it"),
    "card_id": Objects(_nothing, owned=False, missing=5),
    "item_id": Objects(_nothing, owned=False, missing=5),
    "symbol": Objects(_nothing, owned=False, missing="NOPE/NOPE"),
    "code": Objects(_nothing, owned=False, missing="NOPE"),
}

CASES: Final[Mapping[str, Case]] = {
    "PATCH /api/v1/me": Case(lambda: {"full_name": "Al"}),
    # These people have no password that anybody could give.
    "POST /api/v1/me/password": Case(
        lambda: {"current_password": "unknown", "new_password": PASSWORD}, frozenset({400})
    ),
    "POST /api/v1/auth/register": Case(_new_user),
    "POST /api/v1/users": Case(_new_user),
    "PATCH /api/v1/users/{user_id}": Case(lambda: {"full_name": "Al"}),
    "POST /api/v1/credentials": Case(lambda: {**_key_pair(), "verify": False}),
    "PUT /api/v1/credentials/{credential_id}": Case(lambda: {"label": "new"}),
    "POST /api/v1/credentials/{credential_id}/verify": Case(statuses=_ASKED_THE_EXCHANGE),
    "GET /api/v1/credentials/{credential_id}/balances": Case(statuses=_ASKED_THE_EXCHANGE),
    "GET /api/v1/credentials/{credential_id}/open-orders": Case(statuses=_ASKED_THE_EXCHANGE),
    "POST /api/v1/credentials/{credential_id}/rotation": Case(_rotation, _ASKED_THE_EXCHANGE),
    # Nothing is pending and nothing is kept: that the question got as far as it is what counts.
    "POST /api/v1/credentials/{credential_id}/rotation/verify": Case(dict, _NOTHING_KEPT),
    "POST /api/v1/credentials/{credential_id}/rotation/restore": Case(statuses=_NOTHING_KEPT),
    "DELETE /api/v1/credentials/{credential_id}/rotation": Case(statuses=_NOTHING_KEPT),
    # Where nobody has told of the symbol yet, the question got as far as that.
    "POST /api/v1/price-alerts": Case(_wanted_price, frozenset({201, 503})),
    "PATCH /api/v1/price-alerts/{alert_id}": Case(lambda: {"is_active": False}),
    "POST /api/v1/webhooks": Case(_hook),
    "PATCH /api/v1/webhooks/{webhook_id}": Case(lambda: {"name": "new"}),
    "POST /api/v1/webhooks/{webhook_id}/test": Case(statuses=frozenset({202})),
    # These merchants never asked for credit, and nobody asks for what is not there.
    "POST /api/v1/withdrawals": Case(lambda: {"amount": "1.00"}, frozenset({409}), _once),
    # As many have asked for credit meanwhile as have not.
    "GET /api/v1/me/statement": Case(statuses=frozenset({200, 404})),
    "POST /api/v1/admin/approve": Case(
        lambda: {"merchant_id": MISSING_ID, "credit_limit": "1.00"}, frozenset({404})
    ),
    "PATCH /api/v1/admin/merchants/{merchant_id}": Case(lambda: {"credit_limit": "2.00"}),
    "POST /api/v1/admin/pool": Case(lambda: {"name": f"pool{next(_NUMBERS)}"}),
    "POST /api/v1/admin/pool/topup": Case(lambda: {"amount": "1.00"}),
    "POST /api/v1/admin/pool/drawdown": Case(lambda: {"amount": "1.00"}, frozenset({200, 409})),
    "POST /api/v1/api-keys": Case(lambda: {"name": "bot", "scopes": ["read"]}),
    "POST /api/v1/cards/orders": Case(_card_order, _NO_ENGINE),
    "DELETE /api/v1/cards/orders/{order_id}": Case(statuses=_NO_ENGINE),
    "POST /api/v1/orders": Case(_spot_order_asked, _NO_ENGINE),
    "POST /api/v1/orders/batch": Case(lambda: {"orders": [_spot_order_asked()]}, _NO_ENGINE),
    "DELETE /api/v1/orders": Case(statuses=_NO_ENGINE),
    "DELETE /api/v1/orders/{spot_order_id}": Case(statuses=_NO_ENGINE),
    "POST /api/v1/wallets/deposits": Case(_funds, _NO_ENGINE, _once),
    "POST /api/v1/wallets/withdrawals": Case(_funds, _NO_ENGINE, _once),
    "POST /apis/v1/orders": Case(_older_order, _NO_ENGINE),
    "POST /api/v1/exchange/verify": Case(_key_pair, _ASKED_THE_EXCHANGE),
}
