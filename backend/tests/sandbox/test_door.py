"""The judgement of a request at one door, and that dialects and answers fit together."""

import re

import pytest

from backend.app.exchanges.answers.registry import answers
from backend.app.exchanges.registry import dialect
from backend.app.exchanges.wire import Right, WireRequest
from backend.app.sandbox.accounts import EXCHANGES


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_path_that_is_answered_has_a_right(exchange: str) -> None:
    asked = [
        (method, re.sub(r"\{[a-z_]+\}", "123", path))
        for method, path in answers(exchange).handlers()
    ]

    unlisted = [
        (method, path)
        for method, path in asked
        if dialect(exchange).right_needed(WireRequest(method, path)) is Right.UNLISTED
    ]

    assert unlisted == []


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize(
    "rule",
    [
        "unknown_symbol",
        "bad_number",
        "tick_size",
        "step_size",
        "min_amount",
        "min_notional",
        "insufficient_funds",
        "duplicate_client_order_id",
        "too_many_open_orders",
        "order_not_found",
    ],
)
def test_every_rule_of_the_world_has_words_on_every_exchange(exchange: str, rule: str) -> None:
    status, body = answers(exchange).render_order_refused(rule)

    assert 200 <= status < 500
    assert isinstance(body, dict)
