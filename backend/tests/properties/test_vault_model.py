"""The vault against a plain dictionary: whatever two users do, the list is what the model says."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from backend.app.exchanges.reasons import Reason, Standing
from backend.app.exchanges.verification import Verification
from backend.app.masking import mask_api_key
from backend.tests.support.fake_connector import GOOD_KEY, refused
from backend.tests.support.people import Person
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.world import House, running_house

STEPS_MAX = 15
CREDENTIALS = "/api/v1/credentials"
# Few enough that the same is often met again.
KEYS = st.sampled_from(["first-key-0000001", "second-key-000002", "short"])
SECRETS = st.sampled_from(["secret-one", "secret-two", "secret-three"])
LABELS = st.sampled_from([None, "desk", "märket"])
EXCHANGES = st.sampled_from(["binance", "okx"])
VERDICTS = st.one_of(st.just(GOOD_KEY), st.builds(refused, st.sampled_from(Reason)))
USERS = st.sampled_from([0, 1])


@dataclass
class Stored:
    """What the model knows of one credential."""

    owner: int
    exchange: str
    key: str
    secret: str
    passphrase: str | None
    label: str | None = None
    is_active: bool = True
    was_verified: bool = False

    @property
    def may_trade(self) -> bool | None:
        return True if self.was_verified else None

    @property
    def identity(self) -> tuple[int, str, str]:
        return self.owner, self.exchange, self.key


@dataclass
class Model:
    """Credentials by id, in the order of their ids."""

    credentials: dict[int, Stored] = field(default_factory=dict)

    def holds(self, identity: tuple[int, str, str], besides: int | None = None) -> bool:
        return any(
            stored.identity == identity
            for credential_id, stored in self.credentials.items()
            if credential_id != besides
        )

    def shown(self, owner: int) -> list[dict[str, Any]]:
        return [
            {
                "id": credential_id,
                "exchange_name": stored.exchange,
                "label": stored.label,
                "api_key_masked": mask_api_key(stored.key),
                "is_active": stored.is_active,
                "has_trading_permission": stored.may_trade,
                "verified": stored.was_verified,
            }
            for credential_id, stored in sorted(self.credentials.items())
            if stored.owner == owner
        ]


def as_modelled(listed: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "exchange_name", "label", "api_key_masked", "is_active")
    return {
        **{name: listed[name] for name in names},
        "has_trading_permission": listed["has_trading_permission"],
        "verified": listed["last_verified_at"] is not None,
    }


def refusal_status(verdict: Verification) -> int | None:
    """Return how a try that must succeed is answered, or None if it does."""
    if verdict.refusal is None:
        return None
    if verdict.refusal.reason is Reason.RATE_LIMITED:
        return 429
    return 503 if verdict.refusal.standing is Standing.NO_VERDICT else 400


class Vault(RuleBasedStateMachine):
    """Two users do what the routes allow; the model says what must come of it."""

    ids = Bundle("ids")

    def __init__(self, house: House, runner: asyncio.Runner) -> None:
        super().__init__()
        self._house = house
        self._runner = runner
        self._model = Model()
        self._users: list[Person] = []

    @initialize()
    def two_users(self) -> None:
        self._users = [self._run(self._house.somebody()) for _ in range(2)]

    @rule(
        target=ids,
        user=USERS,
        exchange=EXCHANGES,
        key=KEYS,
        secret=SECRETS,
        label=LABELS,
        verify=st.booleans(),
        verdict=VERDICTS,
    )
    def bind(
        self,
        user: int,
        exchange: str,
        key: str,
        secret: str,
        label: str | None,
        verify: bool,
        verdict: Verification,
    ) -> Any:
        passphrase = "words of it" if exchange == "okx" else None
        stored = Stored(user, exchange, key, secret, passphrase, label, was_verified=verify)
        body = {
            "exchange_name": exchange,
            "api_key": key,
            "api_secret": secret,
            "passphrase": passphrase,
            "label": label,
            "verify": verify,
        }
        status, answer = self._ask(user, "POST", "", body, verdict)
        if self._model.holds(stored.identity):
            assert (status, answer["code"]) == (409, "credential-exists")
            return multiple()
        refusal = refusal_status(verdict) if verify else None
        if refusal is not None:
            assert status == refusal
            return multiple()
        assert status == 201, answer
        self._model.credentials[answer["id"]] = stored
        return answer["id"]

    @rule(user=USERS, credential_id=ids)
    def look(self, user: int, credential_id: int) -> None:
        status, answer = self._ask(user, "GET", f"/{credential_id}")
        if self._own(user, credential_id) is None:
            assert (status, answer["code"]) == (404, "credential-not-found")
        else:
            assert as_modelled(answer) in self._model.shown(user)

    @rule(user=USERS, credential_id=ids, label=LABELS, is_active=st.booleans())
    def relabel(self, user: int, credential_id: int, label: str | None, is_active: bool) -> None:
        body = {"label": label, "is_active": is_active}
        status, _ = self._ask(user, "PUT", f"/{credential_id}", body)
        stored = self._own(user, credential_id)
        assert status == (404 if stored is None else 200)
        if stored is not None:
            stored.label, stored.is_active = label, is_active

    @rule(
        user=USERS,
        credential_id=ids,
        key=st.none() | KEYS,
        secret=SECRETS,
        verify=st.booleans(),
        verdict=VERDICTS,
    )
    def replace(
        self,
        user: int,
        credential_id: int,
        key: str | None,
        secret: str,
        verify: bool,
        verdict: Verification,
    ) -> None:
        stored = self._own(user, credential_id)
        new_key_of_okx = key is not None and stored is not None and stored.exchange == "okx"
        body = {
            "api_key": key,
            "api_secret": secret,
            "passphrase": "other words" if new_key_of_okx else None,
            "verify": verify,
        }
        status, _ = self._ask(user, "PUT", f"/{credential_id}", body, verdict)
        if stored is None:
            assert status == 404
            return
        refusal = refusal_status(verdict) if verify else None
        new_key = key or stored.key
        if refusal is not None:
            assert status == refusal
        elif self._model.holds((user, stored.exchange, new_key), besides=credential_id):
            assert status == 409
        else:
            assert status == 200
            stored.key, stored.secret, stored.was_verified = new_key, secret, verify
            if new_key_of_okx:
                stored.passphrase = "other words"

    @rule(user=USERS, credential_id=ids, verdict=VERDICTS)
    def verify(self, user: int, credential_id: int, verdict: Verification) -> None:
        stored = self._own(user, credential_id)
        self._house.connector.asked.clear()
        status, answer = self._ask(user, "POST", f"/{credential_id}/verify", verdict=verdict)
        if stored is None:
            assert (status, self._house.connector.asked) == (404, [])
            return
        # What is opened is what was put in, and goes to the right exchange.
        opened = (stored.exchange, stored.key, stored.secret, stored.passphrase)
        assert self._house.connector.asked == [opened]
        refusal = refusal_status(verdict)
        assert status == (200 if refusal in {None, 400} else refusal)
        if status == 200:
            assert answer["is_valid"] is (refusal is None)
            stored.was_verified |= answer["is_valid"]

    @rule(user=USERS, credential_id=ids)
    def remove(self, user: int, credential_id: int) -> None:
        status, _ = self._ask(user, "DELETE", f"/{credential_id}")
        if self._own(user, credential_id) is None:
            assert status == 404
        else:
            assert status == 204
            del self._model.credentials[credential_id]

    @rule(credential_id=consumes(ids))
    def forget_an_id(self, credential_id: int) -> None:
        """Draw from fewer: otherwise ids of what is long gone would crowd the rest out."""

    @invariant()
    def both_see_what_the_model_says(self) -> None:
        for user in range(len(self._users)):
            status, listed = self._ask(user, "GET", "")
            assert status == 200
            assert [as_modelled(each) for each in listed] == self._model.shown(user)

    def _own(self, user: int, credential_id: int) -> Stored | None:
        stored = self._model.credentials.get(credential_id)
        return stored if stored is not None and stored.owner == user else None

    def _ask(
        self,
        user: int,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        verdict: Verification = GOOD_KEY,
    ) -> tuple[int, Any]:
        self._house.connector.says = verdict
        answer = self._run(
            self._house.client.request(
                method, CREDENTIALS + path, json=body, headers=self._users[user].headers
            )
        )
        return answer.status_code, answer.json() if answer.content else None

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture
def house(runner: asyncio.Runner, cluster_url: str, template_database: str) -> Iterator[House]:
    stack = AsyncExitStack()
    world = running_house(cluster_url, template_database, settings_for_tests())
    yield runner.run(stack.enter_async_context(world))
    runner.run(stack.aclose())


@pytest.mark.slow
def test_the_vault_is_a_dictionary_of_each_users_credentials(
    house: House, runner: asyncio.Runner
) -> None:
    run_state_machine_as_test(
        lambda: Vault(house, runner), settings=settings(stateful_step_count=STEPS_MAX)
    )
