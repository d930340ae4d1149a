"""What the log hides, and what it leaves readable."""

import base64
import json
import logging
import re
import string
from collections.abc import Callable
from itertools import cycle
from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.exchanges.registry import SUPPORTED
from backend.app.ids import new_request_id
from backend.app.logs import logger, scrub
from backend.app.main import AppRole, create_app
from backend.app.sandbox.accounts import seeded_accounts
from backend.app.services.crypto_service import CryptoService
from backend.tests.support.logs import house_logging

ALPHANUMERIC = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


WORDS_TRIED = 500
"""Always the same: one among a hundred thousand random words looks like a name, and passes."""


def random_words(letters: str, least: int) -> list[str]:
    """Draw words as a random generator makes them: no letter far more often than the others."""
    random = Random(f"{letters} {least}")
    return [
        "".join(random.choices(letters, k=random.randint(least, least + 44)))
        for _ in range(WORDS_TRIED)
    ]


AROUND = ("{}", "key={}", '"{}"', "({})", "x: {}, y", "https://host/?s={}&t=1")


@pytest.mark.parametrize(
    ("letters", "least"),
    [(HEX, 32), (ALPHANUMERIC, 32), (ALPHANUMERIC + "-_", 43), (ALPHANUMERIC + "+/", 43)],
)
def test_a_random_token_is_hidden_wherever_it_stands(letters: str, least: int) -> None:
    for token, around in zip(random_words(letters, least), cycle(AROUND), strict=False):
        shown = scrub(around.format(token))

        assert token not in shown
        assert "[hidden]" in shown
        # No run of it long enough to be of use is left either.
        assert not [start for start in range(len(token) - 11) if token[start : start + 12] in shown]


def test_random_letters_without_a_digit_are_hidden_too() -> None:
    shown = [scrub(f"secret {word}") for word in random_words(string.ascii_letters, 64)]

    assert shown == ["secret [hidden]"] * WORDS_TRIED


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_the_secrets_of_every_exchange_are_hidden(exchange: str) -> None:
    accounts = seeded_accounts(b"a seed of this test", 1_750_000_000_000)
    secrets = [a.keys.api_secret for a in accounts if a.exchange == exchange]

    shown = [scrub(f"refused {secret} by {exchange}") for secret in secrets]

    assert shown == [f"refused [hidden] by {exchange}"] * len(secrets)


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "sr1.MzMz.1.gAAAAABlU_EB==",
        "kw1.local.k1.gAAAAABlU_EBAAAA",
        "gAAAAABlU_EBAAEC",
        "srk_abc_def",
        "srk_abcdefgh_a-b-c",
        "srs_a-b-c",
        "-----BEGIN PRIVATE KEY-----\nMC4C\nAQAw\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\nMC4C\\nAQAw",
        pytest.param(CryptoService.generate_key(), id="a fresh master key"),
    ],
)
def test_the_shapes_of_the_house_are_hidden_at_any_length(secret: str) -> None:
    assert scrub(f"before {secret}") == "before [hidden]"


def test_a_password_in_an_address_is_hidden_and_the_host_is_not() -> None:
    assert scrub("postgresql://me:pw@db:5432/x") == "postgresql://[hidden]@db:5432/x"


@pytest.mark.parametrize("encode", [quote, lambda t: base64.b64encode(t.encode()).decode()])
def test_an_encoded_token_is_hidden(encode: Callable[[str], str]) -> None:
    for token in random_words(ALPHANUMERIC + "/+", 32):
        encoded = encode(token)

        assert encoded not in scrub(f"s={encoded}")


@pytest.mark.parametrize(
    "text",
    [
        "The exchange gave no usable answer: it asked us to slow down.",
        "misunderstandings and internationalisations",
        "CredentialOfOtherEnvironment",
        "uq_user_exchange_key_in_api_credentials",
        "backend/app/services/credential_service",
        'File "/srv/strongroom/backend/app/services/credential_service.py", line 120, in create',
        'File "/usr/lib/python3.11/site-packages/sqlalchemy/engine/default.py", line 7',
        "/api/v1/credentials/{credential_id}/verify",
        "took 1234567890.123456 ms at 2026-11-21T12:00:00.123456Z",
        *SUPPORTED,
    ],
)
def test_prose_names_and_paths_stay_readable(text: str) -> None:
    assert scrub(text) == text


@given(
    st.lists(
        st.sampled_from(["the", "exchange", "refused", "a", "key", "of", "internationalisation"])
    )
)
def test_prose_is_never_changed(words: list[str]) -> None:
    assert scrub(" ".join(words)) == " ".join(words)


@given(st.text(max_size=200))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)


def test_a_line_keeps_what_names_the_request_and_hides_the_rest() -> None:
    request_id, token = new_request_id(), CryptoService.generate_key()
    with house_logging() as log:
        logger("house").info(
            token,
            request_id=request_id,
            route="/api/v1/credentials/{credential_id}",
            method=token,
            status=200,
            said={"secret": token},
            raw=token.encode(),
        )

    line = json.loads(log.getvalue())
    assert (line["request_id"], line["status"]) == (request_id, 200)
    assert line["route"] == "/api/v1/credentials/{credential_id}"
    assert line["event"] == line["method"] == "[hidden]"
    assert token not in log.getvalue()


def test_every_route_is_logged_as_it_is_written(services: object) -> None:
    paths = [
        route.path for route in create_app(AppRole.API, services).routes if hasattr(route, "path")
    ]  # type: ignore[arg-type]

    assert [scrub(path) for path in paths] == paths


def test_other_libraries_lines_pass_the_same_scrubber() -> None:
    token = CryptoService.generate_key()
    with house_logging() as log:
        logging.getLogger("somebody.else").error("sent %s", token, extra={"header": token})

    assert json.loads(log.getvalue())["event"] == "sent [hidden]"
    assert token not in log.getvalue()


def test_a_traceback_is_logged_without_the_secret_in_its_message_or_variables() -> None:
    token = CryptoService.generate_key()

    def broken(secret: str) -> None:
        raise ValueError(f"cannot use {secret}")

    with house_logging() as log:
        try:
            broken(token)
        except ValueError:
            logger("house").exception("unexpected")

    line = json.loads(log.getvalue())
    assert "ValueError: cannot use [hidden]" in line["exception"]
    assert "broken(token)" in line["exception"]
    assert token not in log.getvalue()


@pytest.mark.parametrize(
    "name",
    ["ccxt.base.exchange", "aiohttp.client", "asyncpg", "sqlalchemy.engine.Engine", "redis"],
)
def test_libraries_that_print_requests_are_quiet_even_at_debug(name: str) -> None:
    with house_logging("DEBUG") as log:
        logging.getLogger(name).debug("fetch Request: okx POST {'OK-ACCESS-KEY': 'k'}")
        logging.getLogger(name).info("SELECT 1")

    assert log.getvalue() == ""


def test_a_line_cannot_be_forged_by_a_line_break() -> None:
    with house_logging() as log:
        logger("house").info("one", said='two\n{"event": "forged"}')

    assert len(re.findall(r"\n", log.getvalue())) == 1
    assert json.loads(log.getvalue())["event"] == "one"


def test_a_value_is_bounded() -> None:
    with house_logging() as log:
        logger("house").info("long", said="word " * 100_000)

    assert len(log.getvalue()) < 25_000
