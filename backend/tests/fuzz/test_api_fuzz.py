"""Thousands of generated requests, right and wrong, at every route over real HTTP.

No answer is a 5xx but a documented 503, every refusal has the one form, and every answer is what
the documentation says it is. Run by `make fuzz`.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.main import AppRole, create_app
from backend.app.schemas.wallet_schemas import TransferRequest
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.tests.support import credit
from backend.tests.support.access import CASES, Case, tell_prices
from backend.tests.support.people import Person
from backend.tests.support.served_house import ServedHouse, served_house
from backend.tests.support.settings import settings_for_tests

CASES_PER_OPERATION = 120
_LEAD_SECONDS_MAX = 60
_ANSWER_SECONDS_MAX = 120
_CHECKS = [
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    allow_header_conformance,
]
_FOR_ADMINISTRATORS = ("/api/v1/users", "/api/v1/admin/")
# A yes needs a secret, or a rotation under way, and chance draws neither.
_NEVER_A_YES = {
    "POST /api/v1/auth/token",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/me/password",
    "DELETE /api/v1/credentials/{credential_id}/rotation",
    "POST /api/v1/credentials/{credential_id}/rotation/verify",
    "POST /api/v1/credentials/{credential_id}/rotation/restore",
    # What is there to be cancelled no engine knows.
    "DELETE /api/v1/orders/{spot_order_id}",
    "DELETE /api/v1/cards/orders/{order_id}",
    # These people are no merchants, and no exchange has told of its markets.
    "POST /api/v1/withdrawals",
    "GET /api/v1/me/statement",
    "POST /api/v1/admin/approve",
    "GET /api/v1/exchange-info/{symbol}",
}
# Who has no money is refused, whatever is asked.
_FUNDED = {"POST /api/v1/orders", "POST /api/v1/wallets/withdrawals"}
# What is there without anybody making it, by the parameter that names it.
_THERE = {"symbol": "BTCUSDT", "code": "BTC", "card_id": 1, "item_id": 1}
_IN_A_QUERY = {"symbol": "BTCUSDT", "interval": "1m"}
_OLDER_API = "/apis/v1/"

pytestmark = pytest.mark.slow


def _operations() -> list[Any]:
    """Return what is documented, in the order of the document; nothing is connected for it."""
    nowhere = Container(settings_for_tests(), "postgresql+asyncpg://nobody@localhost/nothing")
    documented = create_app(AppRole.API, nowhere).openapi()
    return [one.ok() for one in schemathesis.openapi.from_dict(documented).get_all_operations()]


@pytest.fixture(scope="module")
def house(cluster_url: str, template_database: str) -> Iterator[ServedHouse]:
    with served_house(cluster_url, template_database) as served:
        served.run(tell_prices(served.world))
        administrator = served.somebody(Role.ADMIN)
        served.run(credit.fund(served.world.services, administrator, "1000000.00"))
        yield served


@pytest.mark.parametrize("operation", _operations(), ids=lambda operation: operation.label)
def test_no_request_breaks_the_house(house: ServedHouse, operation: Any) -> None:
    statuses = Asking(house, operation).throw()

    # A fuzzer whose requests are all refused at the door proves little.
    yes = sum(statuses[status] for status in (200, 201, 202, 204))
    assert yes or operation.label in _NEVER_A_YES, statuses
    bad_input = 400 if operation.path.startswith(_OLDER_API) else 422
    assert statuses[bad_input] or not _takes_something(operation), statuses


class Asking:
    """One route, asked again and again by somebody who may.

    Half of the time in earnest: as who we are, about what is there, with members that are right
    among those that were drawn.
    """

    def __init__(self, house: ServedHouse, operation: Any) -> None:
        self._house = house
        self._operation = operation
        for_administrators = operation.path.startswith(_FOR_ADMINISTRATORS)
        self._role = Role.ADMIN if for_administrators else Role.USER
        self._body = CASES.get(operation.label, Case()).body
        self._things: dict[str, int | str] = {}
        self._statuses: Counter[int] = Counter()

    def throw(self) -> Counter[int]:
        """Ask with what was drawn, hold each answer to its form, and return the statuses."""
        either_way = st.one_of(
            [self._operation.as_strategy(generation_mode=mode) for mode in _modes(self._operation)]
        )

        @settings(
            max_examples=CASES_PER_OPERATION,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(either_way, st.booleans(), self._members())
        def throw(case: Any, in_earnest: bool, right: frozenset[str]) -> None:
            answer = self._ask(case, in_earnest, right)
            self._statuses[answer.status_code] += 1
            _hold(case, answer)

        # Somebody of its own for each route: what others have made counts against a limit.
        somebody = self._house.somebody(self._role, anew=True)
        if self._operation.label in _FUNDED:
            self._house.run(_fund(self._house.world.services, somebody))
        throw()
        return self._statuses

    def _members(self) -> st.SearchStrategy[frozenset[str]]:
        """Return which members of a body are right ones: all of them, or any."""
        names = sorted(self._body()) if self._body is not None else []
        everything = st.just(frozenset(names))
        return everything | st.frozensets(st.sampled_from(names)) if names else everything

    def _ask(self, case: Any, in_earnest: bool, right: frozenset[str]) -> Any:
        if in_earnest:
            self._make_right(case, right)
        # Signing out, or an administrator deleting somebody drawn at random, ends our session.
        for anew in (case.path.endswith("/logout"), True):
            asker = self._house.somebody(self._role, anew=anew)
            if in_earnest:
                self._point_at_what_is_there(case, asker, anew)
            answer = case.call(
                base_url=self._house.base_url,
                session=self._house.session,
                timeout=_ANSWER_SECONDS_MAX,
                headers=_headers(asker),
                auth=_in_every_case(asker) if in_earnest else None,
            )
            if answer.status_code != 401 or not in_earnest or "/auth/" in case.path:
                break
        else:
            pytest.fail(f"somebody signed in was not let in: {answer.text}")
        if in_earnest and case.method == "DELETE" and answer.status_code in (204, 404):
            self._things.clear()
        return answer

    def _make_right(self, case: Any, right: frozenset[str]) -> None:
        if self._body is not None and isinstance(case.body, dict):
            body = self._body()
            case.body = {**case.body, **{name: body[name] for name in right}}

    def _point_at_what_is_there(self, case: Any, asker: Person, anew: bool) -> None:
        for name in case.path_parameters or {}:
            if anew or name not in self._things:
                self._things[name] = _THERE.get(name) or self._house.make(name, asker)
            case.path_parameters[name] = self._things[name]
        for name in _IN_A_QUERY.keys() & (case.query or {}):
            case.query[name] = _IN_A_QUERY[name]


async def _fund(services: Container, somebody: Person) -> None:
    async with asyncio.timeout(_LEAD_SECONDS_MAX):
        await services.engines[SPOT_SHARD].led()
    funds = TransferRequest(asset="USDT", amount="1000000000")  # type: ignore[arg-type]
    await services.wallets.deposit(somebody.user_id, funds, "fuzz")


def _headers(asker: Person) -> dict[str, str]:
    # Each request comes from elsewhere, or the limit by address would answer most of them.
    address = f"10.{'.'.join(str(byte) for byte in secrets.token_bytes(3))}"
    return {**asker.headers, "X-Forwarded-For": address}


def _in_every_case(asker: Person) -> Callable[[Any], Any]:
    """Return what signs a request in even if it was drawn to come from nobody, or from another."""

    def sign_in(request: Any) -> Any:
        request.headers.update(asker.headers)
        return request

    return sign_in


def _modes(operation: Any) -> list[GenerationMode]:
    """Return the ways in which requests are made: as documented, and where one can, not so."""
    return list(GenerationMode) if _takes_something(operation) else [GenerationMode.POSITIVE]


def _takes_something(operation: Any) -> bool:
    return bool(operation.body or operation.path_parameters or operation.query)


def _hold(case: Any, answer: Any) -> None:
    assert answer.status_code < 500 or _is_documented(case, answer.status_code), answer.text
    if answer.status_code >= 400 and case.path.startswith(_OLDER_API):
        assert set(answer.json()) == {"code", "message"}
    elif answer.status_code >= 400:
        _assert_is_problem(answer)
    case.validate_response(answer, checks=_CHECKS)


def _is_documented(case: Any, status: int) -> bool:
    return status == 503 and str(status) in case.operation.definition.raw["responses"]


def _assert_is_problem(answer: Any) -> None:
    body: Mapping[str, Any] = answer.json()
    assert answer.headers["content-type"] == ["application/problem+json"]
    assert body["status"] == answer.status_code
    # An answer that is given again under its key is the first one, and names the first request.
    is_replayed = answer.headers.get("idempotency-replayed") == ["true"]
    assert ([body["request_id"]] == answer.headers["x-request-id"]) is not is_replayed
    assert body["type"].endswith(body["code"])
    datetime.fromisoformat(body["timestamp"])
