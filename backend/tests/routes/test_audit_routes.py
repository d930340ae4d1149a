"""The trail over HTTP: for auditors everybody's, for everybody their own, and reading it shows."""

import json
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.audit_record import (
    Act,
    Actor,
    ActorType,
    AuditObject,
    AuditRecord,
    Caller,
    Outcome,
)
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.repositories.audit_search import SCAN_EVENTS_MAX
from backend.tests.support.people import Person, audited, person
from backend.tests.support.trail import AT, append, event, tampered

ALL = "/api/v1/admin/audit"
OWN = "/api/v1/me/audit"


@pytest.fixture
async def auditor(services: Container) -> Person:
    return await person(services, "auditor", Role.AUDITOR)


async def asked(client: AsyncClient, who: Person, path: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(path, params=query, headers=who.headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def numbers(page: dict[str, Any]) -> list[int]:
    return [item["n"] for item in page["items"]]


def credential_use(n: int, credential: int, owner: int, actor: Actor) -> AuditRecord:
    return AuditRecord(
        act=Act.CREDENTIAL_USED,
        outcome=Outcome.ALLOWED,
        caller=Caller(actor, "0f" * 16, "192.0.2.7"),
        at=AT,
        object=AuditObject("credential", credential, owner),
        n=n,
    )


async def test_the_latest_events_come_first_page_by_page(
    client: AsyncClient, services: Container, auditor: Person
) -> None:
    await append(services.database, *(event(n) for n in range(5)))

    first = await asked(client, auditor, ALL, limit=2, act="user.changed")
    second = await asked(
        client, auditor, ALL, limit=2, act="user.changed", cursor=first["next_cursor"]
    )
    third = await asked(
        client, auditor, ALL, limit=2, act="user.changed", cursor=second["next_cursor"]
    )

    assert [numbers(page) for page in (first, second, third)] == [[4, 3], [2, 1], [0]]
    assert third["next_cursor"] is None


async def test_an_event_is_shown_with_all_its_members(
    client: AsyncClient, services: Container, auditor: Person
) -> None:
    await append(services.database, event(3))

    (shown,) = (await asked(client, auditor, ALL, limit=1))["items"]

    assert {name: value for name, value in shown.items() if name not in {"hash", "seq"}} == {
        "at": "2026-11-21T00:00:03Z",
        "act": "user.changed",
        "outcome": "done",
        "actor": {"type": "user", "id": 7, "session": "3f" * 16, "key_prefix": None},
        "object": {"type": "user", "id": 7, "owner": 7},
        "req": "0f" * 16,
        "ip": "192.0.2.1",
        "n": 3,
        **dict.fromkeys(("field", "purpose", "reason", "kid", "rev", "ct")),
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"act": "credential.used"}, [5, 4, 3]),
        ({"act": "credential.use"}, []),
        ({"actor": "user:7"}, [3, 1]),
        ({"actor": "user:70"}, [2]),
        ({"actor": "service:bot"}, [4]),
        ({"actor": "anonymous"}, [5]),
        ({"object": "credential:42"}, [5, 3]),
        ({"object": "user:42"}, []),
        ({"object": "credential:4"}, [4]),
        ({"act": "credential.used", "actor": "user:7", "object": "credential:42"}, [3]),
        ({"from": "2026-11-21T00:00:02Z", "act": "user.changed"}, [2]),
        ({"to": "2026-11-21T00:00:02+00:00", "act": "user.changed"}, [1]),
    ],
)
async def test_events_are_found_by_what_they_say(
    client: AsyncClient,
    services: Container,
    auditor: Person,
    query: dict[str, str],
    found: list[int],
) -> None:
    await append(
        services.database,
        event(1, user=7),
        event(2, user=70),
        credential_use(3, 42, 7, Actor(ActorType.USER, 7, "3f" * 16, "abcd1234")),
        credential_use(4, 4, 9, Actor(ActorType.SERVICE, "bot")),
        credential_use(5, 42, 7, Actor(ActorType.ANONYMOUS)),
    )

    assert numbers(await asked(client, auditor, ALL, **query)) == found


@pytest.mark.parametrize(
    "query",
    [
        {"act": "x'; DROP TABLE users"},
        {"act": "a.b\x00"},
        {"actor": "nobody"},
        {"actor": 'user:7","x":"'},
        {"object": "credential:"},
        {"object": "%"},
        {"from": "2026-11-21T00:00:00"},
        {"to": "yesterday"},
        {"limit": "0"},
        {"limit": "201"},
        {"cursor": "0"},
        {"cursor": str(2**63)},
        {"unknown": "1"},
    ],
)
async def test_a_query_of_bad_form_is_refused(
    client: AsyncClient, auditor: Person, query: dict[str, str]
) -> None:
    answer = await client.get(ALL, params=query, headers=auditor.headers)

    assert answer.status_code == 422
    assert answer.json()["code"] == "validation"


async def test_reading_everybodys_trail_is_recorded(
    client: AsyncClient, services: Container, auditor: Person
) -> None:
    await append(services.database, event(1))

    await asked(client, auditor, ALL, act="user.changed")

    last = json.loads((await audited(services))[-1])
    assert (last["act"], last["actor"]["id"], last["n"]) == ("audit.read", auditor.user_id, 1)


async def test_people_see_what_they_did_and_what_was_done_to_theirs(
    client: AsyncClient, services: Container
) -> None:
    alice = await person(services, "alice")
    await append(
        services.database,
        event(1, user=alice.user_id),
        event(2, user=alice.user_id * 10),
        credential_use(3, 42, alice.user_id, Actor(ActorType.USER, 99, "3f" * 16, "abcd1234")),
        credential_use(4, 43, 99, Actor(ActorType.USER, 99)),
        credential_use(5, 42, alice.user_id, Actor(ActorType.ANONYMOUS)),
    )
    before = await audited(services)

    page = await asked(client, alice, OWN)

    assert numbers(page) == [5, 3, 1]
    by_nobody, by_another, by_herself = page["items"]
    assert by_nobody["ip"] == "192.0.2.7"
    assert by_herself["ip"] == "192.0.2.1"
    assert (by_another["ip"], by_another["req"]) == (None, None)
    assert by_another["actor"] == {"type": "user", "id": 99, "session": None, "key_prefix": None}
    assert await audited(services) == before


async def test_an_event_that_was_tampered_with_is_shown_as_unreadable(
    client: AsyncClient, services: Container, auditor: Person
) -> None:
    await append(services.database, event(1), event(2))
    await tampered(
        services.database,
        "UPDATE audit_events SET payload = '\\xff00'::bytea "
        "WHERE seq = (SELECT seq FROM audit_chain_heads)",
    )

    items = (await asked(client, auditor, ALL, limit=2))["items"]

    assert [item["act"] for item in items] == ["unreadable", "user.changed"]


async def test_a_search_looks_through_100_000_events_and_no_more(
    client: AsyncClient, services: Container, auditor: Person
) -> None:
    await append(services.database, event(0, user=123456))
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO audit_events SELECT e.chain, e.seq + n, e.at, p.payload, e.hash "
                "FROM audit_events e, audit_chain_heads h, generate_series(1, :count) n, "
                "LATERAL (SELECT decode(replace(encode(e.payload, 'escape'), '123456', "
                "(n % 500)::text), 'escape') AS payload) p WHERE e.seq = h.seq"
            ),
            {"count": SCAN_EVENTS_MAX},
        )
        await session.execute(
            text("UPDATE audit_chain_heads SET seq = seq + :count"), {"count": SCAN_EVENTS_MAX}
        )

    page = await asked(client, auditor, ALL, actor="user:499", limit=200)
    rare = await asked(client, auditor, ALL, actor="user:123456")
    rest = await asked(client, auditor, ALL, actor="user:123456", cursor=rare["next_cursor"])

    # Had it looked any further, the second page would have found what the third one finds.
    assert len(page["items"]) == 200
    assert (len(rare["items"]), len(rest["items"])) == (0, 1)
