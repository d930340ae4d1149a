"""Access tokens: only ours, only now, only for us."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from backend.app.config import AuthSettings
from backend.app.enums import Role
from backend.app.errors import ConfigurationError, Unauthenticated
from backend.app.services.token_service import AUDIENCE, ISSUER, TokenService

SECRET = "a secret of the tests, of at least 64 bytes, long enough for HS512 too"
SESSION = UUID(int=7)


class TurnableClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
def tokens(clock: TurnableClock) -> TokenService:
    return TokenService(AuthSettings(jwt_secret=SecretStr(SECRET)), clock)


def issued(tokens: TokenService) -> str:
    return tokens.issue(3, SESSION, Role.USER).get_secret_value()


def forged(
    tokens: TokenService,
    *,
    secret: str = SECRET,
    algorithm: str = "HS256",
    header: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    genuine = issued(tokens)
    claims = {**jwt.decode(genuine, options={"verify_signature": False}), **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    headers = {**jwt.get_unverified_header(genuine), **(header or {})}
    headers.pop("alg")
    return jwt.encode(claims, secret, algorithm=algorithm, headers=headers)


def test_a_token_says_whose_session_it_is_and_nothing_more(tokens: TokenService) -> None:
    token = issued(tokens)
    claims = jwt.decode(token, options={"verify_signature": False})

    read = tokens.read(token)

    assert (read.user_id, read.session_id, read.role) == (3, SESSION, Role.USER)
    assert set(claims) == {
        "iss", "aud", "sub", "sid", "role", "scope", "iat", "nbf", "exp", "jti",
    }  # fmt: skip
    assert claims["exp"] - claims["iat"] == 3600
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"


def test_a_token_expires_half_a_minute_after_its_end_at_the_latest(
    tokens: TokenService, clock: TurnableClock
) -> None:
    token = issued(tokens)

    clock.at += timedelta(minutes=60, seconds=29)
    tokens.read(token)
    clock.at += timedelta(seconds=1)

    with pytest.raises(Unauthenticated):
        tokens.read(token)


def test_a_remembered_token_is_verified_anew_once_it_has_expired(
    tokens: TokenService, clock: TurnableClock
) -> None:
    token = issued(tokens)
    tokens.read(token)

    clock.at += timedelta(minutes=61)

    with pytest.raises(Unauthenticated):
        tokens.read(token)


def test_the_memory_of_tokens_holds_no_token(tokens: TokenService) -> None:
    token = issued(tokens)

    tokens.read(token)

    assert token.encode() not in repr(tokens._read).encode()
    assert sha256(token.encode()).digest() in tokens._read


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "another-api"}, id="other audience"),
        pytest.param({"aud": [AUDIENCE, "another-api"], "iss": "x"}, id="other issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"exp": None}, id="no end"),
        pytest.param({"sid": None}, id="no session"),
        pytest.param({"jti": None}, id="no name"),
        pytest.param({"sid": "not-a-uuid"}, id="session is no uuid"),
        pytest.param({"role": "emperor"}, id="unknown role"),
        pytest.param({"sub": "x"}, id="user is no number"),
        pytest.param({"scope": "admin"}, id="other scope"),
        pytest.param({"nbf": 4_000_000_000}, id="not yet"),
        pytest.param({"iat": 4_000_000_000}, id="issued in the future"),
        pytest.param({"exp": "soon"}, id="end is no number"),
        pytest.param({"secret": "b" * 40}, id="other key"),
        pytest.param({"algorithm": "HS512"}, id="other algorithm"),
        pytest.param({"algorithm": "none", "secret": ""}, id="no algorithm"),
        pytest.param({"header": {"kid": "00000000"}}, id="other key id"),
        pytest.param({"header": {"typ": "JWT"}}, id="other type"),
    ],
)
def test_a_token_that_is_not_quite_ours_is_refused(
    tokens: TokenService, changes: dict[str, Any]
) -> None:
    if changes.get("algorithm") == "none":
        changes["secret"] = None

    with pytest.raises(Unauthenticated):
        tokens.read(forged(tokens, **changes))


def test_a_token_that_names_no_algorithm_is_refused_even_under_our_key(
    tokens: TokenService,
) -> None:
    _, claims, _ = issued(tokens).split(".")
    header = _segment({"alg": "none", "typ": "at+jwt"})

    for signature in ("", _signature(f"{header}.{claims}")):
        with pytest.raises(Unauthenticated):
            tokens.read(f"{header}.{claims}.{signature}")


@given(st.text(max_size=3000))
def test_any_text_is_refused_without_a_defect(text: str) -> None:
    tokens = TokenService(AuthSettings(jwt_secret=SecretStr(SECRET)), TurnableClock())

    with pytest.raises(Unauthenticated):
        tokens.read(text)


def test_a_deeply_nested_header_is_refused_before_it_is_parsed(tokens: TokenService) -> None:
    nested = base64.urlsafe_b64encode(b"[" * 1200).rstrip(b"=").decode()

    with pytest.raises(Unauthenticated):
        tokens.read(f"{nested}.e30.e30")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_altered_token_is_accepted(position: int, flip: int) -> None:
    tokens = TokenService(AuthSettings(jwt_secret=SecretStr(SECRET)), TurnableClock())
    raw = bytearray(tokens.issue(1, uuid4(), Role.USER).get_secret_value().encode())
    place = position % (len(raw) - 1)
    raw[place] ^= flip

    with pytest.raises(Unauthenticated):
        tokens.read(raw.decode("latin-1"))


@pytest.mark.parametrize("secret", [None, "", "x" * 31])
def test_a_short_signing_secret_refuses_the_start_and_names_the_variable(
    secret: str | None,
) -> None:
    settings = AuthSettings(jwt_secret=None if secret is None else SecretStr(secret))

    with pytest.raises(ConfigurationError, match="JWT_SECRET") as refused:
        TokenService(settings, TurnableClock())

    assert not secret or secret not in str(refused.value)


def test_the_issuer_is_the_house() -> None:
    assert (ISSUER, AUDIENCE) == ("strongroom", "strongroom-api")


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _signature(signed: str) -> str:
    digest = hmac.digest(SECRET.encode(), signed.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
