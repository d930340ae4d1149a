"""What is believed of a price: never more than a source told, and a jump only after a while."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.services.market.price_rules import (
    CANDIDATE_TIMES,
    KnownPrice,
    StaleBecause,
    Told,
    is_price,
    judge,
)

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AWAY = StaleBecause.SOURCE_AWAY


def told(price: str, seconds: float = 60, source: str = "binance") -> Told:
    return Told(Decimal(price), source, START + timedelta(seconds=seconds))


def known(price: str = "100") -> KnownPrice:
    return KnownPrice("BTC/USDT", Decimal(price), "binance", START, START)


def after(before: KnownPrice | None, *answers: Told, seconds: float = 60) -> KnownPrice | None:
    return judge("BTC/USDT", before, answers, AWAY, START + timedelta(seconds=seconds))


def stood(before: KnownPrice, *answers: Told, seconds: float = 60) -> KnownPrice:
    found = after(before, *answers, seconds=seconds)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("0.000000000000000001", True),
        ("0.10000000000000000000000", True),
        ("99999999999999999999.999999999999999999", True),
        ("0", False),
        ("-1", False),
        ("NaN", False),
        ("Infinity", False),
        # Would be kept as zero, or as another number: nobody told that.
        ("0.0000000000000000001", False),
        ("100000000000000000000", False),
    ],
)
def test_a_price_is_above_zero_and_can_be_kept_as_it_is(number: str, expected: bool) -> None:
    assert is_price(Decimal(number)) is expected


def test_the_first_price_is_believed_and_nothing_before_it_is_known() -> None:
    assert after(None) is None
    first = after(None, told("7"))
    assert first is not None
    assert (first.price, first.source, first.stale_because) == (Decimal(7), "binance", None)


def test_the_source_that_is_asked_first_is_believed_first() -> None:
    found = stood(known(), told("101"), told("102", source="okx"))

    assert (found.price, found.source) == (Decimal(101), "binance")


def test_without_an_answer_the_last_price_stands_and_is_stale_since_the_first_silence() -> None:
    once = stood(known())
    twice = stood(once, seconds=120)

    assert (twice.price, twice.as_of) == (Decimal(100), START)
    assert twice.stale_because is AWAY
    assert twice.stale_since == START + timedelta(seconds=60)
    assert stood(twice, told("101", 180), seconds=180).stale_because is None


@pytest.mark.parametrize("price", ["1000", "1000000", "10", "0.01"])
def test_a_tenfold_jump_is_believed_when_it_was_told_three_times_in_a_row(price: str) -> None:
    found = known()
    for times in range(1, CANDIDATE_TIMES):
        found = stood(found, told(price, 60 * times), seconds=60 * times)
        assert (found.price, found.stale_because) == (Decimal(100), StaleBecause.QUARANTINED)
        assert (found.candidate_price, found.candidate_count) == (Decimal(price), times)

    found = stood(found, told(price, 300), seconds=300)

    assert (found.price, found.stale_because, found.candidate_price) == (
        Decimal(price),
        None,
        None,
    )


@pytest.mark.parametrize("price", ["999.99", "10.01"])
def test_less_than_tenfold_is_a_day_on_the_market(price: str) -> None:
    assert stood(known(), told(price)).price == Decimal(price)


def test_a_jump_that_is_taken_back_leaves_no_trace() -> None:
    found = stood(stood(known(), told("5000")), told("5000", 70), seconds=70)
    found = stood(found, told("101", 80), seconds=80)

    assert (found.price, found.candidate_price, found.candidate_count) == (Decimal(101), None, 0)


def test_a_candidate_that_wanders_begins_anew() -> None:
    found = stood(stood(known(), told("5000")), told("5100", 70), seconds=70)
    found = stood(found, told("50000", 80), seconds=80)

    assert (found.price, found.candidate_price, found.candidate_count) == (
        Decimal(100),
        Decimal(50000),
        1,
    )


def test_a_jump_that_another_source_tells_too_is_believed_at_once() -> None:
    found = stood(known(), told("5000"), told("5010", source="okx"))

    assert (found.price, found.source, found.stale_because) == (Decimal(5000), "binance", None)


def test_a_jump_that_another_source_denies_is_never_believed() -> None:
    found = known()
    for minute in range(1, 10):
        at = 60 * minute
        found = stood(found, told("5000", at), told("101", at, source="okx"), seconds=at)
        assert (found.price, found.source) == (Decimal(101), "okx")


def test_two_sources_that_jump_apart_are_both_doubted() -> None:
    found = stood(known(), told("5000"), told("0.001", source="okx"))

    assert (found.price, found.stale_because) == (Decimal(100), StaleBecause.QUARANTINED)


def test_an_older_price_is_no_news() -> None:
    found = stood(known(), told("90", -5))

    assert (found.price, found.as_of, found.stale_because) == (Decimal(100), START, None)


def test_after_our_clock_was_set_back_what_is_told_counts_again() -> None:
    ahead = replace(known(), as_of=START + timedelta(hours=1))

    assert stood(ahead, told("90")).price == Decimal(90)


_PRICES = st.decimals("0.000001", "1000000", places=6).filter(lambda price: price > 0)
_ANSWERS = st.lists(
    st.builds(
        Told,
        price=_PRICES,
        source=st.sampled_from(["binance", "okx"]),
        as_of=st.integers(-300, 3000).map(lambda seconds: START + timedelta(seconds=seconds)),
    ),
    max_size=2,
)


@given(st.lists(_ANSWERS, max_size=30))
def test_whatever_sources_say_every_price_was_told_with_its_source_and_time(
    rounds: list[list[Told]],
) -> None:
    before: KnownPrice | None = None
    ever: set[tuple[Decimal, str, datetime]] = set()

    for minute, answers in enumerate(rounds):
        ever |= {(each.price, each.source, each.as_of) for each in answers}
        now = START + timedelta(minutes=minute)
        found = judge("BTC/USDT", before, answers, AWAY, now)
        if found is not None:
            assert (found.price, found.source, found.as_of) in ever
        # What nobody confirmed just now does not look fresh.
        if before is not None and not answers:
            assert found is not None
            assert found.stale_because is AWAY
        before = found
