"""Every refusal at every exchange comes with words a person can act on."""

import pytest

from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.refusals import advice, sentence
from backend.app.exchanges.registry import SUPPORTED, profile


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("exchange", SUPPORTED)
def test_advice_is_a_sentence_or_two_without_gaps(exchange: str, reason: Reason) -> None:
    words = advice(exchange, reason)

    assert words.endswith(".")
    assert "{" not in words
    assert 20 < len(words) < 400


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_one_sentence(reason: Reason) -> None:
    assert sentence(reason).endswith(".")
    assert sentence(reason).count(". ") == 0


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_an_address_refusal_names_the_address_to_add(exchange: str) -> None:
    assert "203.0.113.7" in advice(exchange, Reason.IP_NOT_ALLOWED, "203.0.113.7")
    assert "this server" in advice(exchange, Reason.IP_NOT_ALLOWED)


def test_binance_s_one_answer_is_explained_with_all_three_causes() -> None:
    words = advice("binance", Reason.AMBIGUOUS_CREDENTIALS, "203.0.113.7")

    assert "three causes" in words
    assert "the key still exists" in words
    assert "203.0.113.7" in words
    assert all(right in words for right in profile("binance").rights_to_tick)


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_only_keys_with_a_passphrase_are_asked_for_one(exchange: str) -> None:
    has_none = "have no passphrase" in advice(exchange, Reason.WRONG_PASSPHRASE)

    assert has_none is not profile(exchange).needs_passphrase


@pytest.mark.parametrize("exchange", ["htx", "bybit", "gate", "mexc"])
def test_the_ninety_days_of_an_unbound_key_are_explained(exchange: str) -> None:
    assert "90 days" in advice(exchange, Reason.KEY_EXPIRED)
