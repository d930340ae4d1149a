"""What an audit record may say, and how it is written."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.audit_record import (
    SYSTEM,
    Act,
    Actor,
    ActorType,
    AuditObject,
    AuditRecord,
    Caller,
    Outcome,
    stamp,
)

AT = datetime(2026, 11, 21, 10, 30, 0, 5, tzinfo=UTC)
RECORD = AuditRecord(
    act=Act.CREDENTIAL_USED,
    outcome=Outcome.ALLOWED,
    caller=Caller(
        Actor(ActorType.USER, 7, session="33333333-3333-4333-8333-333333333333"),
        request_id="0f" * 16,
        address="2001:db8::1",
    ),
    at=AT,
    object=AuditObject("credential", 42, owner=7),
    purpose="verify",
    kid="k1",
    rev=1,
)
WORDS = ("field", "purpose", "reason", "kid", "ct")


def test_a_record_is_written_as_canonical_json() -> None:
    assert RECORD.payload() == (
        b'{"act":"credential.used",'
        b'"actor":{"id":7,"session":"33333333-3333-4333-8333-333333333333","type":"user"},'
        b'"at":"2026-11-21T10:30:00.000005Z","ip":"2001:db8::1","kid":"k1",'
        b'"object":{"id":42,"owner":7,"type":"credential"},"outcome":"allowed",'
        b'"purpose":"verify","req":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","rev":1}'
    )


WORD_TEXTS = st.none() | st.from_regex(r"[A-Za-z0-9_.:/%-]{1,64}", fullmatch=True)
NUMBERS = st.none() | st.integers(-(2**63), 2**63 - 1)


@given(
    act=st.sampled_from(Act),
    outcome=st.sampled_from(Outcome),
    kind=st.sampled_from(ActorType),
    at=st.datetimes(timezones=st.just(UTC)),
    address=st.none() | st.ip_addresses().map(str),
    words=st.lists(WORD_TEXTS, min_size=9, max_size=9),
    numbers=st.lists(NUMBERS, min_size=4, max_size=4),
    thing=st.booleans(),
)
def test_whatever_is_recorded_is_the_json_the_standard_library_writes(
    act: Act,
    outcome: Outcome,
    kind: ActorType,
    at: datetime,
    address: str | None,
    words: list[str | None],
    numbers: list[int | None],
    thing: bool,
) -> None:
    session, prefix, req, field, purpose, reason, kid, ct, name = words
    actor_id, n, rev, owner = numbers
    record = AuditRecord(
        act=act,
        outcome=outcome,
        caller=Caller(Actor(kind, actor_id, session, prefix), req, address),
        at=at,
        object=AuditObject("credential", name or 42, owner) if thing else None,
        field=field,
        purpose=purpose,
        reason=reason,
        kid=kid,
        rev=rev,
        ct=ct,
        n=n,
    )
    facts = {
        "act": act.value,
        "actor": present(id=actor_id, key_prefix=prefix, session=session, type=kind.value),
        "at": stamp(at),
        "ip": address,
        "outcome": outcome.value,
        "object": present(type="credential", id=name or 42, owner=owner) if thing else None,
        "req": req,
        "field": field,
        "purpose": purpose,
        "reason": reason,
        "kid": kid,
        "ct": ct,
        "n": n,
        "rev": rev,
    }

    written = json.dumps(present(**facts), sort_keys=True, separators=(",", ":"))

    assert record.payload() == written.encode()


def present(**facts: Any) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def test_what_is_absent_is_not_written() -> None:
    least = AuditRecord(act=Act.LOGOUT, outcome=Outcome.DONE, caller=SYSTEM, at=AT)

    assert set(json.loads(least.payload())) == {"act", "actor", "at", "outcome"}


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize(
    "text", ["", "two words", "x" * 65, 'quote"', "back\\slash", "line\n", "schlüssel", "{}"]
)
def test_nothing_but_a_short_word_is_recorded(name: str, text: str) -> None:
    changes: dict[str, Any] = {name: text}

    with pytest.raises(ValueError, match=f"{name} of an audit record"):
        replace(RECORD, **changes).payload()


@pytest.mark.parametrize(
    "caller",
    [
        Caller(Actor(ActorType.USER, "an id")),
        Caller(Actor(ActorType.USER, session="a session")),
        Caller(Actor(ActorType.USER, key_prefix="a prefix")),
        Caller(Actor(ActorType.USER), request_id="a request"),
    ],
)
def test_the_words_of_a_caller_are_held_to_the_same_rule(caller: Caller) -> None:
    with pytest.raises(ValueError, match="short word"):
        replace(RECORD, caller=caller).payload()


@pytest.mark.parametrize("told", ["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "::1"])
def test_an_address_is_written_as_it_is(told: str) -> None:
    caller = Caller(Actor(ActorType.ANONYMOUS), address=told)

    assert json.loads(replace(RECORD, caller=caller).payload())["ip"] == told


@pytest.mark.parametrize("told", ["", "unknown", "an address", "1" * 46, "10.0.0.1, 10.0.0.2", "é"])
def test_an_address_that_is_none_is_written_as_such(told: str) -> None:
    caller = Caller(Actor(ActorType.ANONYMOUS), address=told)

    assert json.loads(replace(RECORD, caller=caller).payload())["ip"] == "unreadable"


def test_a_refused_word_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="short word") as refused:
        replace(RECORD, reason="a secret text").payload()

    assert "secret text" not in str(refused.value)


def test_a_moment_is_written_in_utc() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert stamp(elsewhere) == stamp(AT) == "2026-11-21T10:30:00.000005Z"


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        stamp(AT.replace(tzinfo=None))


def test_the_earliest_year_keeps_its_four_digits() -> None:
    assert stamp(datetime(1, 1, 1, tzinfo=UTC)).startswith("0001-01-01T")
