"""Foreign values are read in their documented kinds, or not at all."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.dialects.reading import (
    amount_in,
    balances,
    known_in,
    moment_in,
    optional_amount_in,
    optional_text_in,
    text_in,
    texts_in,
    whole_in,
    words_in,
)
from backend.app.exchanges.key_information import Balance


@pytest.mark.parametrize(
    ("value", "amount"),
    [("0.10", "0.1"), (7, "7"), (Decimal("1E-18"), "1E-18"), ("-0", "0"), ("1e3", "1000")],
)
def test_an_amount_is_exact(value: Any, amount: str) -> None:
    assert amount_in({"n": value}, "n") == Decimal(amount)
    assert not amount_in({"n": value}, "n").is_signed()


def test_an_absent_amount_is_zero_only_where_it_may_be_absent() -> None:
    assert optional_amount_in({"n": ""}, "n") == optional_amount_in({}, "n") == 0
    with pytest.raises(NotTheExchange):
        amount_in({"n": ""}, "n")


@pytest.mark.parametrize(
    "value", [True, False, 1.0, "-1", "nan", "inf", None, "", " ", b"1", "1e99"]
)
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(NotTheExchange):
        amount_in({"n": value}, "n")


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (44, "44"), (0, "0")])
def test_a_whole_number_counts_as_its_digits(value: Any, text: str) -> None:
    assert text_in({"n": value}, "n") == text


@pytest.mark.parametrize("value", [True, 1.5, Decimal(1), [], {}, "x" * 4_097, 10**60])
def test_what_is_no_short_text_is_refused(value: Any) -> None:
    with pytest.raises(NotTheExchange):
        optional_text_in({"n": value}, "n")


@pytest.mark.parametrize("value", ["1.5", Decimal("0.1"), True, None, "x"])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(NotTheExchange):
        whole_in({"n": value}, "n")


def test_a_flag_may_be_absent_but_not_a_word() -> None:
    assert [known_in({"n": value}, "n") for value in (True, False, None)] == [
        Known.YES,
        Known.NO,
        Known.UNKNOWN,
    ]
    with pytest.raises(NotTheExchange):
        known_in({"n": "true"}, "n")


def test_lists_of_words_are_trimmed_and_never_half_read() -> None:
    assert words_in({"n": " a, b,,c "}, "n") == ("a", "b", "c")
    assert words_in({}, "n") == texts_in({}, "n") == ()
    with pytest.raises(NotTheExchange):
        words_in({"n": ["a"]}, "n")
    with pytest.raises(NotTheExchange):
        texts_in({"n": ["a", 1]}, "n")


def test_a_moment_beyond_the_calendar_is_refused() -> None:
    assert moment_in({"n": 1_628_985_600_000}, "n") == datetime(2021, 8, 15, tzinfo=UTC)
    assert moment_in({"n": 0}, "n") is None
    with pytest.raises(NotTheExchange):
        moment_in({"n": 10**18}, "n")


def test_rows_of_one_asset_are_one_balance() -> None:
    rows = [
        Balance("B", Decimal(1)),
        Balance("A", Decimal(0)),
        Balance("B", Decimal(2), Decimal(3)),
    ]

    assert balances(rows) == (Balance("B", Decimal(3), Decimal(3)),)
