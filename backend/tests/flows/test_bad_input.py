"""Bad input gets a 4xx that names the field, and no byte of the secret comes back or is logged."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from httpx2 import AsyncClient, Response

from backend.app.enums import Role
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.logs import house_logging
from backend.tests.support.people import PASSWORD, Person
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.world import House, running_house

CREDENTIALS = "/api/v1/credentials"
TRY = "/api/v1/exchange/verify"
# Its ends and its middle are looked for too: a message may quote a part.
SECRET = "canary4f2c-middle9d1b-ending77e0"
PARTS = ("canary4f2c", "middle9d1b", "ending77e0")
KEY = "binance-key-000000000001"
GOOD = {"exchange_name": "binance", "api_key": KEY, "api_secret": SECRET}
JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.asyncio(loop_scope="module")
module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")


@module_fixture
async def house(cluster_url: str, template_database: str) -> AsyncIterator[House]:
    async with running_house(
        cluster_url, template_database, settings_for_tests(), works=False
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def alice(house: House) -> Person:
    return await house.somebody()


@pytest_asyncio.fixture(loop_scope="module")
async def root(house: House) -> Person:
    return await house.somebody(Role.ADMIN)


@pytest.fixture
def client(house: House) -> AsyncClient:
    return house.client


@pytest.fixture
def connector(house: House) -> FakeConnector:
    house.connector.asked.clear()
    return house.connector


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def nothing_is_told(client: AsyncClient) -> AsyncIterator[None]:
    """After every test: no answer and no log line holds a part of the secret."""
    answers: list[Response] = []

    async def keep(answer: Response) -> None:
        await answer.aread()
        answers.append(answer)

    client.event_hooks["response"].append(keep)
    with house_logging() as log:
        yield
    client.event_hooks["response"].remove(keep)
    assert log.getvalue().count('"request_id"') >= len(answers) > 0
    told = log.getvalue() + "".join(f"{answer.text} {answer.headers}" for answer in answers)
    assert not [part for part in PARTS if part in told]
    assert all(answer.status_code < 500 for answer in answers)


def fields(answer: Response) -> set[Any]:
    return {error["loc"][-1] for error in answer.json().get("errors", ())}


def is_refusal(answer: Response) -> bool:
    """Say whether an answer is a 4xx in the one form of every refusal."""
    body = answer.json()
    return (
        400 <= answer.status_code < 500
        and answer.headers["content-type"] == "application/problem+json"
        and body["status"] == answer.status_code
        and body["request_id"] == answer.headers["x-request-id"]
        and {"type", "title", "code", "detail", "timestamp"} <= body.keys()
    )


async def sent(client: AsyncClient, who: Person, body: bytes, path: str = CREDENTIALS) -> Response:
    """Send a body as it is."""
    return await client.post(path, content=body, headers={**who.headers, **JSON})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": "with\nbreak"}, "api_key"),
        ({"api_key": "with space"}, "api_key"),
        ({"api_key": " leading"}, "api_key"),
        ({"api_key": "trailing\r\n"}, "api_key"),
        ({"api_key": "schlüssel"}, "api_key"),
        ({"api_key": "nul\x00"}, "api_key"),
        ({"api_key": "zero\u200bwidth"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "k" * 256}, "api_key"),
        ({"api_key": 12345}, "api_key"),
        ({"api_key": None}, "api_key"),
        ({"api_key": [KEY]}, "api_key"),
        ({"api_key": {"is": KEY}}, "api_key"),
        ({"api_secret": f"{SECRET}\n"}, "api_secret"),
        ({"api_secret": f"{SECRET} {SECRET}"}, "api_secret"),
        ({"api_secret": f"{SECRET}é"}, "api_secret"),
        ({"api_secret": f"{SECRET}\x00"}, "api_secret"),
        ({"api_secret": SECRET * 200}, "api_secret"),
        ({"api_secret": ""}, "api_secret"),
        ({"api_secret": None}, "api_secret"),
        ({"api_secret": [SECRET]}, "api_secret"),
        ({"api_secret": {SECRET: SECRET}}, "api_secret"),
        ({"api_secret": True}, "api_secret"),
        ({"passphrase": SECRET * 5}, "passphrase"),
        ({"passphrase": f"{SECRET}\n"}, "passphrase"),
        ({"passphrase": ""}, "passphrase"),
        ({"passphrase": SECRET}, "passphrase"),
        ({"exchange_name": "okx"}, "passphrase"),
        ({"exchange_name": "kraken"}, "exchange_name"),
        ({"exchange_name": SECRET}, "exchange_name"),
        ({"exchange_name": ""}, "exchange_name"),
        ({"exchange_name": "b" * 51}, "exchange_name"),
        ({"exchange_name": "bin\x00ance"}, "exchange_name"),
        ({"exchange_name": 7}, "exchange_name"),
        ({"exchange_name": ["binance"]}, "exchange_name"),
        ({"label": "two\nlines"}, "label"),
        ({"label": "l" * 101}, "label"),
        ({"label": "nul\x00"}, "label"),
        ({"label": "\u202egnol"}, "label"),
        ({"verify": "perhaps"}, "verify"),
        ({"verify": 2}, "verify"),
        ({"user_id": 1}, "user_id"),
        ({"encrypted_api_secret": SECRET}, "encrypted_api_secret"),
        ({"api_secrets": SECRET}, "api_secrets"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    client: AsyncClient,
    alice: Person,
    connector: FakeConnector,
    changes: dict[str, Any],
    field: str,
) -> None:
    answer = await client.post(CREDENTIALS, json={**GOOD, **changes}, headers=alice.headers)

    assert is_refusal(answer), answer.text
    assert fields(answer) == {field}
    assert connector.asked == []


@pytest.mark.parametrize("missing", ["exchange_name", "api_key", "api_secret"])
@pytest.mark.parametrize("path", [CREDENTIALS, TRY])
async def test_a_missing_field_is_named(
    client: AsyncClient, alice: Person, path: str, missing: str
) -> None:
    body = {name: value for name, value in GOOD.items() if name != missing}

    answer = await client.post(path, json=body, headers=alice.headers)

    assert (answer.status_code, fields(answer)) == (422, {missing})


@pytest.mark.parametrize("name", [SECRET, f"{SECRET}\n", "x" * 40, "api-key", "__proto__", "1", ""])
async def test_an_unknown_name_that_may_be_a_secret_is_not_repeated(
    client: AsyncClient, alice: Person, name: str
) -> None:
    answer = await client.post(CREDENTIALS, json={**GOOD, name: SECRET}, headers=alice.headers)

    assert is_refusal(answer)
    assert fields(answer) == {"(unnamed)"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'"%(secret)s"',
        b'["%(secret)s"]',
        b'{"api_secret": "%(secret)s"',
        b'{"api_secret": %(secret)s}',
        b"{'api_secret': '%(secret)s'}",
        b'{"api_secret": "%(secret)s", }',
        b'{"api_secret": "%(secret)s\n"}',
        b'{"api_secret": "\\q%(secret)s"}',
        b'{"%(secret)s": ',
        b"%(secret)s",
        b"\xff\xfe%(secret)s",
        b'{"api_secret": "\xff%(secret)s"}',
        b"\xef\xbb\xbf{}%(secret)s",
        b"[" * 10_000 + b"%(secret)s",
        b'{"a":' * 9_000 + b"1",
        b'{"verify": NaN, "api_secret": "%(secret)s"}',
        b'{"verify": 1e999999, "api_secret": "%(secret)s"}',
        b'{"verify": ' + b"9" * 5_000 + b', "api_secret": "%(secret)s"}',
        b"exchange_name=binance&api_secret=%(secret)s",
    ],
)
async def test_a_body_that_is_no_request_is_refused(
    client: AsyncClient, alice: Person, body: bytes
) -> None:
    answer = await sent(client, alice, body.replace(b"%(secret)s", SECRET.encode()))

    assert is_refusal(answer), answer.text


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
    ],
)
async def test_a_body_of_another_kind_is_refused(
    client: AsyncClient, alice: Person, content_type: str | None
) -> None:
    headers = alice.headers if content_type is None else {"Content-Type": content_type}

    answer = await client.post(
        CREDENTIALS,
        content=json.dumps(GOOD).encode(),
        headers={**alice.headers, **headers},
    )

    assert is_refusal(answer), answer.text


async def test_of_a_name_said_twice_the_last_counts_and_nothing_breaks(
    client: AsyncClient, alice: Person, connector: FakeConnector
) -> None:
    body = f'{{"exchange_name": "okx", "exchange_name": "binance", "api_key": "first-said",\
        "api_key": "{KEY}", "api_secret": "{SECRET}"}}'

    answer = await sent(client, alice, body.encode())

    assert answer.status_code == 201
    assert connector.asked == [("binance", KEY, SECRET, None)]


@pytest.mark.parametrize(
    "member", ["exchange_name", "api_key", "api_secret", "passphrase", "label"]
)
@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "\\udc00\\ud800"])
async def test_half_a_character_is_refused(
    client: AsyncClient, alice: Person, member: str, half: str
) -> None:
    body = json.dumps({**GOOD, member: "PLACE"}).replace("PLACE", half)

    answer = await sent(client, alice, body.encode())

    assert is_refusal(answer), answer.text
    assert fields(answer) == {member}


@pytest.mark.parametrize("path", [CREDENTIALS, TRY, "/api/v1/auth/token", "/api/v1/auth/register"])
async def test_a_megabyte_is_refused_whether_its_length_is_told_or_not(
    client: AsyncClient, alice: Person, path: str
) -> None:
    body = json.dumps({**GOOD, "label": SECRET * 32_000}).encode()

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 8_192):
            yield body[start : start + 8_192]

    told = await client.post(path, content=body, headers={**alice.headers, **JSON})
    untold = await client.post(path, content=in_pieces(), headers={**alice.headers, **JSON})

    assert len(body) > 1_000_000
    assert (told.status_code, untold.status_code) == (413, 413)
    assert is_refusal(told)
    assert is_refusal(untold)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "credential_id",
    [str(2**63), "9" * 40, "9" * 5000, "0", "-1", "1.5", "1e3", "%00", "one", "%ED%A0%80", SECRET],
)
async def test_an_id_that_cannot_be_is_refused_without_repeating_it(
    client: AsyncClient, alice: Person, method: str, credential_id: str
) -> None:
    body = {"label": "mine"} if method == "PUT" else None

    answer = await client.request(
        method, f"{CREDENTIALS}/{credential_id}", json=body, headers=alice.headers
    )

    assert is_refusal(answer), answer.text
    assert fields(answer) == {"credential_id"}


async def test_anothers_credential_is_a_missing_one_in_every_way(
    client: AsyncClient, house: House, alice: Person
) -> None:
    bound = (await client.post(CREDENTIALS, json=GOOD, headers=alice.headers)).json()
    bob, missing = await house.somebody(), 2**62

    for method, tail, body in (
        ("GET", "", None),
        ("PUT", "", {"label": "mine"}),
        ("PUT", "", {"api_secret": SECRET}),
        ("POST", "/verify", None),
        ("DELETE", "", None),
    ):
        his, nobodys = [
            await client.request(
                method, f"{CREDENTIALS}/{each}{tail}", json=body, headers=bob.headers
            )
            for each in (bound["id"], missing)
        ]
        assert is_refusal(his)
        assert (his.status_code, his.json()["code"]) == (404, "credential-not-found")
        assert his.json()["detail"] == nobodys.json()["detail"]

    assert (await client.get(CREDENTIALS, headers=alice.headers)).json() == [bound]


async def test_the_same_key_again_is_a_conflict(client: AsyncClient, alice: Person) -> None:
    await client.post(CREDENTIALS, json=GOOD, headers=alice.headers)

    again = await client.post(CREDENTIALS, json=GOOD, headers=alice.headers)

    assert is_refusal(again)
    assert (again.status_code, again.json()["code"]) == (409, "credential-exists")
    assert KEY not in again.text


async def test_changing_a_key_to_one_bound_already_is_a_conflict(
    client: AsyncClient, alice: Person
) -> None:
    await client.post(CREDENTIALS, json=GOOD, headers=alice.headers)
    other = await client.post(
        CREDENTIALS, json={**GOOD, "api_key": "another-key-000000001"}, headers=alice.headers
    )

    answer = await client.put(
        f"{CREDENTIALS}/{other.json()['id']}",
        json={"api_key": KEY, "api_secret": SECRET},
        headers=alice.headers,
    )

    assert is_refusal(answer)
    assert (answer.status_code, answer.json()["code"]) == (409, "credential-exists")
    assert len((await client.get(CREDENTIALS, headers=alice.headers)).json()) == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": "another-key"}, "body"),
        ({"api_secret": SECRET, "passphrase": SECRET}, "passphrase"),
        ({"api_secret": f"{SECRET}\n"}, "api_secret"),
        ({"is_active": "perhaps"}, "is_active"),
        ({"is_active": SECRET}, "is_active"),
        ({"exchange_name": "okx"}, "exchange_name"),
        ({"environment": "live"}, "environment"),
        ({"id": 1}, "id"),
        ({"label": 5}, "label"),
    ],
)
async def test_a_change_that_cannot_be_made_is_refused_and_changes_nothing(
    client: AsyncClient, alice: Person, changes: dict[str, Any], field: str
) -> None:
    bound = (await client.post(CREDENTIALS, json=GOOD, headers=alice.headers)).json()

    answer = await client.put(f"{CREDENTIALS}/{bound['id']}", json=changes, headers=alice.headers)

    assert is_refusal(answer), answer.text
    assert fields(answer) == {field}
    assert answer.json()["detail"] != "The request could not be read."
    assert (await client.get(CREDENTIALS, headers=alice.headers)).json() == [bound]


@pytest.mark.parametrize("email", ["", "alice", "alice@", "@example.com", "a@b@c.com", "a b@c.com"])
async def test_a_malformed_address_is_refused_by_name_everywhere(
    client: AsyncClient, alice: Person, root: Person, email: str
) -> None:
    new = {"username": "carol", "email": email, "password": PASSWORD}

    answers = [
        await client.post("/api/v1/auth/register", json=new),
        await client.post("/api/v1/users", json=new, headers=root.headers),
        await client.patch("/api/v1/me", json={"email": email}, headers=alice.headers),
        await client.patch(
            f"/api/v1/users/{alice.user_id}", json={"email": email}, headers=root.headers
        ),
    ]

    assert all(is_refusal(answer) for answer in answers)
    assert [fields(answer) for answer in answers] == [{"email"}] * 4


async def test_a_duplicate_user_is_a_conflict(
    client: AsyncClient, alice: Person, root: Person
) -> None:
    new = {"username": alice.username.upper(), "email": "new@example.com", "password": SECRET}

    answers = [
        await client.post("/api/v1/auth/register", json=new),
        await client.post("/api/v1/users", json=new, headers=root.headers),
    ]

    assert all(is_refusal(answer) for answer in answers)
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (409, "user-exists")
    }


async def test_a_number_written_as_text_is_no_boolean_and_no_text(
    client: AsyncClient, alice: Person
) -> None:
    answers = [
        await client.post(CREDENTIALS, json={**GOOD, **each}, headers=alice.headers)
        for each in ({"verify": "2"}, {"api_key": 1.5}, {"api_secret": 10**20}, {"label": 0})
    ]

    assert [(answer.status_code, fields(answer)) for answer in answers] == [
        (422, {"verify"}),
        (422, {"api_key"}),
        (422, {"api_secret"}),
        (422, {"label"}),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=many",
        "limit=",
        "limit=%00",
        "limit=1&limit=x",
        f"cursor={2**63}",
        "cursor=-1",
        "cursor=null",
        f"cursor={SECRET}",
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_name(
    client: AsyncClient, root: Person, query: str
) -> None:

    answer = await client.get(f"/api/v1/users?{query}", headers=root.headers)

    assert is_refusal(answer), answer.text
    assert fields(answer) == {query.partition("=")[0]}


@pytest.mark.parametrize("asked", ["requests", "audit"])
@pytest.mark.parametrize(
    "query", ["from=0001-01-01T00:00:00%2B14:00", "to=9999-12-31T23:59:59-14:00"]
)
async def test_a_time_that_the_calendar_does_not_hold_in_utc_is_refused_by_name(
    client: AsyncClient, root: Person, asked: str, query: str
) -> None:
    answer = await client.get(f"/api/v1/admin/{asked}?{query}", headers=root.headers)

    assert is_refusal(answer), answer.text
    assert fields(answer) == {query.partition("=")[0]}
