"""Device cookies: for one user, made by us, for a while."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from backend.app.services.device_cookies import LIFETIME, DeviceCookies

SECRET = SecretStr("a secret of the tests, longer than 32 bytes")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def cookies(at: datetime = NOON, secret: SecretStr = SECRET) -> DeviceCookies:
    return DeviceCookies(secret, lambda: at)


def test_a_device_is_known_to_its_user_and_to_nobody_else() -> None:
    cookie = cookies().issue(3).get_secret_value()

    assert cookies().recognise(3, cookie)
    assert cookies().recognise(4, cookie) is None


def test_each_login_names_the_device_anew() -> None:
    first, second = (cookies().recognise(3, cookies().issue(3).get_secret_value()) for _ in "ab")

    assert first != second


def test_a_cookie_is_forgotten_after_half_a_year() -> None:
    cookie = cookies().issue(3).get_secret_value()

    assert cookies(NOON + LIFETIME).recognise(3, cookie)
    assert cookies(NOON + LIFETIME + timedelta(seconds=1)).recognise(3, cookie) is None


def test_a_cookie_made_under_another_key_is_not_known() -> None:
    cookie = cookies(secret=SecretStr("b" * 40)).issue(3).get_secret_value()

    assert cookies().recognise(3, cookie) is None


@pytest.mark.parametrize("cookie", [None, "", ".", "a.b.c", "x" * 4096])
def test_what_is_no_cookie_is_not_known(cookie: str | None) -> None:
    assert cookies().recognise(3, cookie) is None


@given(st.integers(min_value=0), st.characters(codec="ascii"))
def test_an_altered_cookie_is_not_known(position: int, other: str) -> None:
    cookie = cookies().issue(3).get_secret_value()
    place = position % len(cookie)
    altered = cookie[:place] + other + cookie[place + 1 :]

    assert (cookies().recognise(3, altered) is not None) == (altered == cookie)
