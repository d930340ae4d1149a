"""Numbers and whole units: exact both ways, whatever their length."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from backend.app.services.venue.amounts import in_full, in_short, ratio_in_short, whole_units

PER_UNIT = st.integers(0, 12).map(lambda decimals: 10**decimals)
# As many digits as a request may hold; a Decimal context would round at twenty-eight.
NUMBERS = st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,18})?", fullmatch=True)


@given(units=st.integers(-(10**38), 10**38), per_unit=PER_UNIT)
def test_units_come_back_from_what_is_written_of_them(units: int, per_unit: int) -> None:
    assert whole_units(Decimal(in_full(units, per_unit)), per_unit) == units
    assert whole_units(Decimal(in_short(units, per_unit)), per_unit) == units


@given(written=NUMBERS, per_unit=PER_UNIT)
def test_a_number_is_exactly_its_units_or_none(written: str, per_unit: int) -> None:
    exact = Fraction(written) * per_unit

    units = whole_units(Decimal(written), per_unit)

    assert units == (exact.numerator if exact.denominator == 1 else None)


@given(units=st.integers(-(10**38), 10**38), per_unit=PER_UNIT)
def test_the_short_form_is_plain_and_has_nothing_to_leave_out(units: int, per_unit: int) -> None:
    short = in_short(units, per_unit)

    assert "E" not in short
    assert not short.startswith("-0" if units == 0 else "--")
    assert "." not in short or short[-1] not in "0."


@given(numerator=st.integers(0, 10**30), denominator=st.integers(1, 10**15))
def test_a_ratio_is_off_by_half_a_unit_of_its_last_decimal_at_most(
    numerator: int, denominator: int
) -> None:
    written = Fraction(ratio_in_short(numerator, denominator, 12))

    assert abs(written - Fraction(numerator, denominator)) <= Fraction(1, 2 * 10**12)
