"""What is shown of an API key, and what never is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.masking import HIDDEN, mask_api_key


def test_four_and_four_characters_are_shown() -> None:
    assert mask_api_key("abcdefghijklmnopqrstuvwxyz") == "abcd...wxyz"


@pytest.mark.parametrize("key", ["", "a", "abcdefgh", "abcdefghijklmno"])
def test_a_key_too_short_to_mask_shows_nothing(key: str) -> None:
    assert mask_api_key(key) == HIDDEN


def test_a_key_of_sixteen_characters_shows_half() -> None:
    assert mask_api_key("abcdefghijklmnop") == "abcd...mnop"


@pytest.mark.parametrize("show_chars", [0, -1])
def test_showing_nothing_shows_nothing(show_chars: int) -> None:
    assert mask_api_key("abcdefghijklmnopqrstuvwxyz", show_chars) == HIDDEN


@given(st.text(max_size=300), st.integers(min_value=1, max_value=20))
def test_at_least_as_much_is_hidden_as_shown(key: str, show_chars: int) -> None:
    masked = mask_api_key(key, show_chars)

    if masked != HIDDEN:
        start, end = masked[:show_chars], masked[-show_chars:]
        assert key.startswith(start)
        assert key.endswith(end)
        assert len(key) - len(start + end) >= len(start + end)
