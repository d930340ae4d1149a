"""E-mail addresses, names and passwords as they may come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from backend.app.schemas.user_schemas import (
    EMAIL_LENGTH_MAX,
    Email,
    NewPassword,
    ProfileUpdate,
    Registration,
    Username,
)

EMAIL = TypeAdapter(Email)
USERNAME = TypeAdapter(Username)
PASSWORD = TypeAdapter(NewPassword)


def accepted(adapter: TypeAdapter[str], value: object) -> str | None:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None


@given(st.emails())
def test_an_accepted_address_is_short_lower_case_ascii_and_accepted_again(address: str) -> None:
    stored = accepted(EMAIL, address)

    if stored is not None:
        assert stored == stored.lower()
        assert stored.isascii()
        assert len(stored) <= EMAIL_LENGTH_MAX
        assert accepted(EMAIL, stored) == stored


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9+_-]{0,20}[a-z0-9])?", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,20}\.(com|org|net|io)", fullmatch=True),
)
def test_an_ordinary_address_is_accepted_as_it_is(local: str, domain: str) -> None:
    assert accepted(EMAIL, f"{local}@{domain}") == f"{local}@{domain}"


@given(st.text())
def test_whatever_is_typed_is_an_address_or_refused_and_never_a_defect(typed: str) -> None:
    stored = accepted(EMAIL, typed)

    assert stored is None or stored.count("@") == 1


@given(st.emails(), st.sampled_from(["\0", "\n", " ", "\ud800"]), st.integers(min_value=0))
def test_a_control_character_anywhere_spoils_an_address(
    address: str, character: str, position: int
) -> None:
    place = position % (len(address) + 1)

    assert accepted(EMAIL, address[:place] + character + address[place:]) is None


@given(st.text(min_size=8, max_size=128))
def test_a_password_may_be_composed_of_anything_that_is_a_character(password: str) -> None:
    clean = "\0" not in password and not any("\ud800" <= each <= "\udfff" for each in password)

    assert (accepted(PASSWORD, password) is not None) == clean


@given(st.text(max_size=60))
def test_a_name_is_plain_enough_to_be_compared_without_its_case(typed: str) -> None:
    name = accepted(USERNAME, typed)

    if name is not None:
        assert name.isascii()
        assert 3 <= len(name) <= 50
        assert not name.startswith((".", "-", "_"))


def test_a_password_shows_in_no_repr() -> None:
    asked = Registration.model_validate(
        {"username": "alice", "email": "a@example.com", "password": "correct horse"}
    )

    assert "correct" not in repr(asked)


@pytest.mark.parametrize(
    ("asked", "changes"),
    [
        ({}, {}),
        ({"email": None}, {}),
        ({"full_name": None}, {"full_name": None}),
        ({"email": "A@x.org", "full_name": "A"}, {"email": "a@x.org", "full_name": "A"}),
    ],
)
def test_what_is_left_out_stays(asked: dict[str, object], changes: dict[str, object]) -> None:
    assert ProfileUpdate.model_validate(asked).changes() == changes
