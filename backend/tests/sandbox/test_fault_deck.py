"""Which requests the deck strikes: by rule, by count, and the same again for the same seed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.app.exchanges.wire import Right
from backend.app.sandbox.accounts import EXCHANGES
from backend.app.sandbox.fault_deck import RULES_MAX, Deck, Fault, FaultDeck, Struck

REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(EXCHANGES),
        st.sampled_from(["GET", "POST"]),
        st.sampled_from(["/api/v3/account", "/api/v5/trade/order", "/v5/order/create"]),
        st.sampled_from(list(Right)),
    ),
    max_size=40,
)
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "fault": st.sampled_from(sorted(set(Fault) - {Fault.LATENCY, Fault.CLOCK_SKEW})),
            "percent": st.integers(1, 100),
        },
        optional={
            "exchange": st.sampled_from((*EXCHANGES, "all")),
            "path": st.sampled_from(["/api", "/v5"]),
            "count": st.integers(1, 5),
        },
    ),
    max_size=5,
)


def fates(deck: Deck, requests: list[tuple[str, str, str, Right]]) -> list[Struck]:
    playing = FaultDeck()
    playing.set(deck)
    return [playing.draw(*request) for request in requests]


def deck_of(*rules: dict[str, object], seed: str = "") -> Deck:
    return Deck.model_validate({"seed": seed, "rules": rules})


@given(seed=st.text(max_size=20), rules=RULES, requests=REQUESTS)
def test_the_same_requests_after_the_same_deck_meet_the_same_fates(
    seed: str, rules: list[dict[str, object]], requests: list[tuple[str, str, str, Right]]
) -> None:
    deck = deck_of(*rules, seed=seed)

    assert fates(deck, requests) == fates(deck, requests)


@given(rules=RULES, requests=REQUESTS)
def test_what_another_exchange_is_asked_changes_nothing_here(
    rules: list[dict[str, object]], requests: list[tuple[str, str, str, Right]]
) -> None:
    # A count is one for all exchanges; everything else is each exchange's own.
    deck = deck_of(*({**rule, "count": None} for rule in rules))
    here = [request for request in requests if request[0] == "okx"]

    meanwhile = zip(fates(deck, requests), requests, strict=True)
    among_others = [fate for fate, request in meanwhile if request[0] == "okx"]

    assert among_others == fates(deck, here)


def test_another_seed_is_another_sequence() -> None:
    requests = [("okx", "GET", "/", Right.READ)] * 64

    one, two = (
        [fate.rule for fate in fates(deck_of({"fault": "cut", "percent": 50}, seed=seed), requests)]
        for seed in ("one", "two")
    )

    assert one != two
    assert 10 < one.count(None) < 54


def test_a_rule_strikes_as_often_as_it_counts_and_where_it_matches() -> None:
    deck = FaultDeck()
    deck.set(
        deck_of(
            {"fault": "cut", "exchange": "okx", "path": "/api/v5/trade", "method": "POST"},
            {"fault": "html", "operation": "read", "count": 2},
        )
    )
    asked = [
        ("okx", "POST", "/api/v5/trade/order", Right.TRADE),
        ("okx", "GET", "/api/v5/trade/order", Right.READ),
        ("gate", "POST", "/api/v5/trade/order", Right.TRADE),
        ("gate", "GET", "/api/v4/spot/accounts", Right.READ),
        ("gate", "GET", "/api/v4/spot/accounts", Right.READ),
    ]

    struck = [deck.draw(*request).rule for request in asked]

    assert [rule and rule.fault for rule in struck] == ["cut", "html", None, "html", None]
    assert [line["struck"] for line in deck.shown()["rules"]] == [1, 2]
    assert [line["seen"] for line in deck.shown()["rules"]] == [1, 3]


def test_delays_and_clocks_go_together_with_one_other_fault() -> None:
    deck = FaultDeck()
    deck.set(
        deck_of(
            {"fault": "latency", "milliseconds": 5},
            {"fault": "clock_skew", "milliseconds": -60_000},
            {"fault": "throttle"},
            {"fault": "cut"},
            {"fault": "latency", "milliseconds": 7},
        )
    )

    fate = deck.draw("okx", "GET", "/", Right.PUBLIC)

    assert (fate.delay_ms, fate.skew_ms) == (12, -60_000)
    assert fate.rule is not None
    assert fate.rule.fault is Fault.THROTTLE


def test_a_deck_that_is_set_again_begins_again() -> None:
    deck, once = FaultDeck(), deck_of({"fault": "cut", "count": 1})

    for _ in range(2):
        deck.set(once)
        assert deck.draw("okx", "GET", "/", Right.PUBLIC).rule is not None
        assert deck.draw("okx", "GET", "/", Right.PUBLIC).rule is None
    deck.clear()

    assert deck.is_empty


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "flood"},
        {"fault": "cut", "exchange": "ninth"},
        {"fault": "cut", "percent": 0},
        {"fault": "cut", "percent": 101},
        {"fault": "cut", "count": 0},
        {"fault": "latency"},
        {"fault": "latency", "milliseconds": 30_001},
        {"fault": "latency", "milliseconds": -1},
        {"fault": "clock_skew"},
        {"fault": "clock_skew", "milliseconds": 86_400_001},
        {"fault": "server_error", "status": 404},
        {"fault": "html", "status": 99},
        {"fault": "cut", "path": "/" * 201},
        {"fault": "cut", "method": "get"},
        {"fault": "cut", "operation": "steal"},
        {"fault": "cut", "surplus": 1},
        {},
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        deck_of(rule)


def test_a_deck_has_a_bounded_number_of_rules() -> None:
    with pytest.raises(ValidationError):
        deck_of(*[{"fault": "cut"}] * (RULES_MAX + 1))
