"""Cursors of two ids come back as they went, and nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.errors import BadRequest
from backend.app.services.venue.places import cursor_of, place_of

IDS = st.integers(0, 2**63 - 2)


@given(IDS, IDS)
def test_a_place_comes_back_from_its_cursor(first: int, second: int) -> None:
    assert place_of(cursor_of(first, second)) == (first, second)


def test_no_cursor_is_the_beginning() -> None:
    assert place_of(None) is None


@pytest.mark.parametrize(
    "cursor",
    [
        *(
            "",
            "1",
            ".",
            "1.",
            ".1",
            "1.2.3",
            "-1.2",
            "1.-2",
            "1e3.1",
            " 1.2",
            "1.2\n",
            "١.٢",
            "x.y",
        ),
        *(f"{2**63}.1", f"1.{2**63 - 1}", "9" * 20 + ".1"),
    ],
)
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest):
        place_of(cursor)
