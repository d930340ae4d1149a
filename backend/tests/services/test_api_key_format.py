"""The form of a key: recognised by scanners, proof against slips of the pen."""

import re
import string
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from backend.app.services.api_key_format import (
    KEY_FORM,
    KeyParts,
    new_key_id,
    new_secret,
    new_signing_secret,
    parse_key,
    written_key,
)

ALPHABET = string.ascii_letters + string.digits + "_-"
PAGE = Path(__file__).parents[3] / "docs" / "ARCHITECTURE.md"

keys = st.builds(
    KeyParts,
    st.text(string.ascii_letters + string.digits, min_size=8, max_size=8),
    st.text(ALPHABET, min_size=43, max_size=43),
)


def test_a_new_key_has_the_form_that_is_written_down() -> None:
    key = written_key(KeyParts(new_key_id(), new_secret()))

    assert re.fullmatch(r"srk_[0-9A-Za-z]{8}_[0-9A-Za-z_-]{43}[0-9A-Za-z]{6}", key)
    assert len({new_key_id() for _ in range(1000)}) == 1000
    assert re.fullmatch(r"srs_[0-9A-Za-z_-]{43}", new_signing_secret())


def test_a_known_key_reads_as_it_always_did() -> None:
    parts = KeyParts("0000000A", "A" * 43)

    assert written_key(parts) == "srk_0000000A_" + "A" * 43 + "2b9BCi"


@given(keys)
def test_what_was_written_reads_back(parts: KeyParts) -> None:
    assert parse_key(written_key(parts)) == parts


@given(keys, st.integers(0, 61), st.sampled_from(ALPHABET))
def test_any_single_changed_character_is_noticed(
    parts: KeyParts, place: int, character: str
) -> None:
    key = written_key(parts)
    changed = key[:place] + character + key[place + 1 :]

    assert len(key) == 62
    assert parse_key(changed) == (parts if changed == key else None)


@given(keys, st.integers(0, 60))
def test_two_neighbours_that_changed_places_are_noticed(parts: KeyParts, place: int) -> None:
    key = written_key(parts)
    changed = key[:place] + key[place + 1] + key[place] + key[place + 2 :]

    assert parse_key(changed) == (parts if changed == key else None)


@given(st.text(max_size=100))
def test_nothing_else_reads_as_a_key(text: str) -> None:
    assert parse_key(text) is None


def test_a_line_break_at_the_end_is_no_part_of_a_key() -> None:
    assert parse_key(written_key(KeyParts(new_key_id(), new_secret())) + "\n") is None


def test_the_page_tells_scanners_the_form_we_read() -> None:
    written_down = re.search(r"`(srk_\[[^`]+)`", PAGE.read_text())

    assert written_down is not None
    assert written_down.group(1) == KEY_FORM.pattern.replace("(", "").replace(")", "")
