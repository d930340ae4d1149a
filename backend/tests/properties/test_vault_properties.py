"""What must hold of the vault whatever it is given, through the routes and on a real database.

That what is sealed opens again is proved beside the sealing, and masking beside the mask.
"""

import json
import secrets
import string
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from httpx2 import AsyncClient, Response
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from backend.app.clock import utc_now
from backend.app.enums import Role
from backend.app.exchanges.reasons import Reason, Refusal, Standing
from backend.app.masking import mask_api_key
from backend.tests.support.examples import one_in
from backend.tests.support.fake_connector import GOOD_KEY, FakeConnector, refused
from backend.tests.support.leaks import found_in
from backend.tests.support.logs import house_logging
from backend.tests.support.people import PASSWORD, Person
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.world import House, running_house

CREDENTIALS = "/api/v1/credentials"
PROBLEM = {"type", "title", "status", "code", "detail", "request_id", "timestamp"}
# Of a shorter word nobody could say that it is found because it is there.
TELLING_LENGTH_MIN = 12

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Each of them asks a whole house several times.
few = settings(max_examples=one_in(3))

NAME_LETTERS = {*string.ascii_letters, *"_-:/"}
VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F))


def is_telling(word: str) -> bool:
    """Say whether a word, found in an answer, is there because it was told.

    Hypothesis also tries words of the code, which may be names of the answer's own fields.
    """
    return len(word) >= TELLING_LENGTH_MIN and not set(word) <= NAME_LETTERS


API_KEYS = st.text(VISIBLE, min_size=1, max_size=255)
SECRETS = st.text(VISIBLE, min_size=TELLING_LENGTH_MIN, max_size=200).filter(is_telling)
PASSPHRASES = st.text(VISIBLE, min_size=TELLING_LENGTH_MIN, max_size=128).filter(is_telling)
REFUSALS = st.sampled_from([reason for reason in Reason if Refusal(reason).standing])
VERDICTS_ON_KEYS = st.sampled_from(
    [reason for reason in Reason if Refusal(reason).standing is not Standing.NO_VERDICT]
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(cluster_url: str, template_database: str) -> AsyncIterator[House]:
    async with running_house(
        cluster_url, template_database, settings_for_tests(), works=False
    ) as running:
        yield running


@pytest.fixture(scope="module")
def client(house: House) -> AsyncClient:
    return house.client


@pytest.fixture(scope="module")
def connector(house: House) -> FakeConnector:
    return house.connector


async def somebody(house: House) -> Person:
    """Return somebody new, before whom the exchange accepts everything."""
    house.connector.says = GOOD_KEY
    house.connector.asked.clear()
    return await house.somebody()


def key_pair(**other: Any) -> dict[str, Any]:
    members = {
        "exchange_name": "binance",
        "api_key": secrets.token_hex(16),
        "api_secret": secrets.token_hex(16),
    }
    return {**members, **other}


async def bound(house: House, who: Person, **other: Any) -> dict[str, Any]:
    answer = await house.client.post(CREDENTIALS, json=key_pair(**other), headers=who.headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def listed(house: House, who: Person) -> list[dict[str, Any]]:
    answer = await house.client.get(CREDENTIALS, headers=who.headers)
    return list(answer.json())


async def rows_of(house: House, who: Person) -> list[dict[str, Any]]:
    """Return everything the database holds of somebody's credentials."""
    async with house.services.database.snapshot() as session:
        found = await session.execute(
            text(
                "SELECT c.*, d.* FROM api_credentials c JOIN deks d USING (dek_id)"
                " WHERE c.user_id = :owner ORDER BY c.id"
            ),
            {"owner": who.user_id},
        )
        return [dict(row) for row in found.mappings()]


def is_problem(answer: Response, *statuses: int) -> bool:
    body = answer.json()
    return (
        answer.status_code in statuses
        and answer.headers["content-type"] == "application/problem+json"
        and body.keys() >= PROBLEM
        and body["status"] == answer.status_code
        and body["request_id"] == answer.headers["x-request-id"]
    )


@few
@given(api_key=API_KEYS, secret=SECRETS, passphrase=PASSPHRASES)
async def test_a_key_is_stored_and_found_exactly_and_its_secrets_are_nowhere(
    house: House, api_key: str, secret: str, passphrase: str
) -> None:
    alice = await somebody(house)
    pair = {"exchange_name": "okx", "api_key": api_key, "api_secret": secret}

    with house_logging() as log:
        answer = await house.client.post(
            CREDENTIALS, json={**pair, "passphrase": passphrase}, headers=alice.headers
        )
        shown = await listed(house, alice)

    [row] = await rows_of(house, alice)
    assert row["api_key"] == api_key
    assert house.connector.asked == [("okx", api_key, secret, passphrase)]
    assert shown == [answer.json()]
    assert shown[0]["api_key_masked"] == mask_api_key(api_key)
    stored = {name: value for name, value in row.items() if name != "api_key"}
    places = {
        "row": repr(stored).encode(),
        "answer": f"{answer.text} {answer.headers} {shown}".encode(),
        "log": log.getvalue().encode(),
    }
    assert found_in(places, {"secret": secret.encode(), "passphrase": passphrase.encode()}) == []


@few
@given(api_key=API_KEYS.filter(is_telling))
async def test_no_query_answers_with_a_whole_key_a_secret_or_a_hash(
    house: House, api_key: str
) -> None:
    alice, root = await somebody(house), await house.somebody(Role.ADMIN)
    stored = await bound(house, alice, api_key=api_key)
    one = f"{CREDENTIALS}/{stored['id']}"

    answers = [
        await house.client.get(CREDENTIALS, headers=alice.headers),
        await house.client.get(one, headers=alice.headers),
        await house.client.put(one, json={"label": "desk"}, headers=alice.headers),
        await house.client.post(f"{one}/verify", headers=alice.headers),
        await house.client.get("/api/v1/me", headers=alice.headers),
        await house.client.get(f"/api/v1/users/{alice.user_id}", headers=root.headers),
    ]

    [row] = await rows_of(house, alice)
    told = "".join(json.dumps(answer.json()) for answer in answers)
    assert {answer.status_code for answer in answers} == {200}
    for hidden in (api_key, row["encrypted_api_secret"], row["wrapped"], str(row["dek_id"])):
        assert json.dumps(hidden)[1:-1] not in told
    assert not {"secret", "hash", "passphrase", "encrypted"} & set(
        told.lower().replace('"', "_").split("_")
    )


@few
@given(count=st.integers(1, 5), reason=VERDICTS_ON_KEYS)
async def test_many_keys_are_held_in_order_and_a_refused_one_is_not_among_them(
    house: House, count: int, reason: Reason
) -> None:
    alice = await somebody(house)

    stored = [await bound(house, alice) for _ in range(count)]
    house.connector.says = refused(reason)
    refusal = await house.client.post(CREDENTIALS, json=key_pair(), headers=alice.headers)

    assert await listed(house, alice) == stored
    assert is_problem(refusal, 400)
    assert refusal.json()["reason"] == reason
    assert refusal.json()["advice"]
    assert len(await rows_of(house, alice)) == count


@few
@given(api_key=API_KEYS, aliases=st.permutations(["htx", "huobi", "HTX", " Huobi "]))
async def test_a_key_is_bound_once_under_whatever_name_of_its_exchange(
    house: House, api_key: str, aliases: list[str]
) -> None:
    alice = await somebody(house)
    await bound(house, alice, api_key=api_key, exchange_name=aliases[0])

    again = [
        await house.client.post(
            CREDENTIALS, json=key_pair(api_key=api_key, exchange_name=name), headers=alice.headers
        )
        for name in aliases[1:]
    ]

    assert all(is_problem(answer, 409) for answer in again)
    assert len(await listed(house, alice)) == 1
    # The same key of another exchange, or of another user, is another key.
    await bound(house, alice, api_key=api_key, exchange_name="mexc")
    await bound(house, await house.somebody(), api_key=api_key, exchange_name="htx")


@few
@given(label=st.text(string.printable[:95], min_size=1, max_size=100), active=st.booleans())
async def test_times_are_set_and_a_change_is_never_before_the_beginning(
    house: House, label: str, active: bool
) -> None:
    alice = await somebody(house)
    before = utc_now()
    stored = await bound(house, alice)
    after = utc_now()

    changed = await house.client.put(
        f"{CREDENTIALS}/{stored['id']}",
        json={"label": label, "is_active": active},
        headers=alice.headers,
    )

    created, updated, created_before, updated_before = (
        datetime.fromisoformat(told[name])
        for told in (changed.json(), stored)
        for name in ("created_at", "updated_at")
    )
    assert before <= created <= updated_before <= after < updated
    assert (created, created.tzinfo) == (created_before, created_before.tzinfo)
    # An update holds: in the list, which was remembered before, too.
    assert (changed.json()["label"], changed.json()["is_active"]) == (label, active)
    assert await listed(house, alice) == [changed.json()]


@few
@given(api_key=API_KEYS, secret=SECRETS, reason=REFUSALS)
async def test_an_update_is_verified_first_and_refused_leaves_everything_as_it_was(
    house: House, api_key: str, secret: str, reason: Reason
) -> None:
    alice = await somebody(house)
    stored = await bound(house, alice)
    before, told_before = await rows_of(house, alice), await listed(house, alice)
    house.connector.says = refused(reason)
    change = {"api_key": api_key, "api_secret": secret}

    refusal = await house.client.put(
        f"{CREDENTIALS}/{stored['id']}", json=change, headers=alice.headers
    )

    assert house.connector.asked[-1] == ("binance", api_key, secret, None)
    assert is_problem(refusal, 400, 429, 503)
    assert refusal.json()["reason"] == reason
    assert await rows_of(house, alice) == before
    assert await listed(house, alice) == told_before


@few
@given(count=st.integers(1, 4), data=st.data())
async def test_a_deleted_key_is_gone_from_every_answer_and_can_be_bound_anew(
    house: House, count: int, data: st.DataObject
) -> None:
    alice = await somebody(house)
    pairs = [key_pair() for _ in range(count)]
    stored = [await bound(house, alice, **pair) for pair in pairs]
    gone = data.draw(st.integers(0, count - 1))
    one = f"{CREDENTIALS}/{stored[gone]['id']}"
    await listed(house, alice)

    removed = await house.client.delete(one, headers=alice.headers)

    assert removed.status_code == 204
    assert await listed(house, alice) == stored[:gone] + stored[gone + 1 :]
    assert is_problem(await house.client.get(one, headers=alice.headers), 404)
    assert is_problem(await house.client.delete(one, headers=alice.headers), 404)
    anew = await bound(house, alice, **pairs[gone])
    assert anew["id"] > max(each["id"] for each in stored)


@few
@given(pair=st.fixed_dictionaries({"api_key": API_KEYS, "api_secret": SECRETS}))
async def test_what_fails_after_the_writing_leaves_nothing_behind(
    house: House, pair: dict[str, str]
) -> None:
    alice = await somebody(house)
    before = await _counts(house)
    await _run(house, "ALTER TABLE audit_chain_heads RENAME TO away")

    with house_logging() as log:
        broken = await house.client.post(CREDENTIALS, json=key_pair(**pair), headers=alice.headers)
    await _run(house, "ALTER TABLE away RENAME TO audit_chain_heads")

    assert is_problem(broken, 500)
    assert set(broken.json()) == PROBLEM
    assert (broken.json()["code"], broken.json()["detail"]) == (
        "internal",
        "An unexpected error. Quote the request id when you report it.",
    )
    assert await _counts(house) == before
    assert await listed(house, alice) == []
    # Logged with its trace, and without what was being written.
    assert "Traceback" in log.getvalue()
    assert found_in({"log": log.getvalue().encode()}, {"it": pair["api_secret"].encode()}) == []


async def _run(house: House, statement: str) -> None:
    async with house.services.database.transaction() as session:
        await session.execute(text(statement))


async def _counts(house: House) -> tuple[int, ...]:
    async with house.services.database.snapshot() as session:
        names = ("api_credentials", "deks", "audit_events")
        counts = [await session.scalar(text(f"SELECT count(*) FROM {name}")) for name in names]
    return tuple(count or 0 for count in counts)


@pytest.mark.parametrize("changed_by", ["bind", "label", "replace", "verify", "delete"])
async def test_no_change_is_hidden_by_the_remembered_list(house: House, changed_by: str) -> None:
    alice = await somebody(house)
    stored = await bound(house, alice, verify=False)
    one = f"{CREDENTIALS}/{stored['id']}"
    assert await listed(house, alice) == [stored]

    requests: dict[str, tuple[str, str, dict[str, Any] | None]] = {
        "bind": ("POST", CREDENTIALS, key_pair()),
        "label": ("PUT", one, {"label": "desk"}),
        "replace": ("PUT", one, {"api_key": "k" * 20, "api_secret": "s" * 20}),
        "verify": ("POST", f"{one}/verify", None),
        "delete": ("DELETE", one, None),
    }
    method, path, body = requests[changed_by]
    changed = await house.client.request(method, path, json=body, headers=alice.headers)

    assert changed.status_code < 300
    seen = await listed(house, alice)
    assert seen != [stored]
    assert [each["id"] for each in seen] == [row["id"] for row in await rows_of(house, alice)]


@given(
    path=st.sampled_from(
        [CREDENTIALS, "/api/v1/exchange/verify", f"{CREDENTIALS}/1", "/api/v1/me"]
    ),
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    body=JSON_VALUES,
    signed_in=st.booleans(),
)
async def test_whatever_is_sent_is_served_or_refused_in_the_one_form(
    house: House, path: str, method: str, body: Any, signed_in: bool
) -> None:
    alice = await somebody(house)
    headers = alice.headers if signed_in else {}

    answer = await house.client.request(method, path, json=body, headers=headers)

    assert answer.status_code < 500
    assert answer.status_code < 300 or is_problem(answer, *range(400, 500))
    assert signed_in or answer.status_code in {401, 405}


@given(word=st.text(string.ascii_letters + string.digits, min_size=1, max_size=40))
async def test_a_made_up_token_opens_no_door(house: House, word: str) -> None:
    for header in (f"Bearer {word}", word, f"Basic {word}", f"Bearer {word}.{word}.{word}"):
        answer = await house.client.get(CREDENTIALS, headers={"Authorization": header})
        assert is_problem(answer, 401)


# Administrators' route: registration is limited by address, and both use the same form.
@given(email=st.emails())
async def test_an_address_is_kept_in_lower_case_or_refused_by_name(
    house: House, email: str
) -> None:
    root = await house.somebody(Role.ADMIN)

    answer = await house.client.patch("/api/v1/me", json={"email": email}, headers=root.headers)

    if answer.status_code == 200:
        assert answer.json()["email"] == answer.json()["email"].lower()
        assert answer.json()["email"].partition("@")[0] == email.rpartition("@")[0].lower()
    else:
        assert is_problem(answer, 409, 422)
        assert answer.status_code == 409 or answer.json()["errors"][0]["loc"] == ["body", "email"]


@given(text_=st.text(max_size=60).filter(lambda found: "@" not in found or found.count("@") > 1))
async def test_what_is_no_address_is_refused_by_name(house: House, text_: str) -> None:
    root = await house.somebody(Role.ADMIN)

    body = json.dumps({"email": text_})
    answer = await house.client.patch(
        "/api/v1/me",
        content=body,
        headers={**root.headers, "Content-Type": "application/json"},
    )

    quoted = text_.startswith('"')
    assert is_problem(answer, 422) or quoted
    assert quoted or answer.json()["errors"][0]["loc"] == ["body", "email"]


@few
@given(flips=st.lists(st.booleans(), min_size=12, max_size=12))
async def test_a_name_and_an_address_are_taken_in_whatever_case(
    house: House, flips: list[bool]
) -> None:
    alice, root = await somebody(house), await house.somebody(Role.ADMIN)
    letters = zip(alice.username, [*flips, *[False] * 50], strict=False)
    name = "".join(letter.upper() if flip else letter for letter, flip in letters)
    new = {"username": "somebody-else", "email": "somebody.else@example.com", "password": PASSWORD}

    same_name = await house.client.post(
        "/api/v1/users", json={**new, "username": name}, headers=root.headers
    )
    same_address = await house.client.post(
        "/api/v1/users", json={**new, "email": f"{name}@Example.COM"}, headers=root.headers
    )

    assert is_problem(same_name, 409)
    assert is_problem(same_address, 409)
    assert same_name.json()["detail"] == same_address.json()["detail"]
