"""The fault deck: which request of the sandbox goes wrong, and how. Pure: nothing here waits.

A deck is drawn from by counting. Whether a rule strikes depends on the deck's seed, the rule, the
exchange and how many requests the rule has matched there before, and on nothing else: the same
requests after the same deck meet the same faults.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.app.exchanges.wire import Right
from backend.app.sandbox.accounts import EXCHANGES

RULES_MAX: Final = 32
LATENCY_MS_MAX: Final = 30_000
SKEW_MS_MAX: Final = 24 * 60 * 60 * 1_000
_COUNT_MAX: Final = 1_000_000
_SEED_MAX_CHARACTERS: Final = 100
_PATH_MAX_CHARACTERS: Final = 200
_CERTAIN_PERCENT: Final = 100
_EXCHANGE_NAMES: Final = "|".join((*EXCHANGES, "all"))


class Fault(StrEnum):
    """What can go wrong. The first two leave the answer as it is; of the others one strikes."""

    LATENCY = "latency"
    """The answer comes `milliseconds` late."""
    CLOCK_SKEW = "clock_skew"
    """The exchange's clock is `milliseconds` ahead, or behind where negative."""
    LOST_REPLY = "lost_reply"
    """The exchange does as asked, and the connection breaks before it has said so."""
    CUT = "cut"
    """The connection breaks, and nothing was done."""
    SERVER_ERROR = "server_error"
    """`status` (500) with a bare text."""
    HTML = "html"
    """`status` (200) with a page meant for people."""
    GARBAGE = "garbage"
    """`status` (200) with bytes that claim to be JSON."""
    THROTTLE = "throttle"
    """Too many requests, in the exchange's own words and headers."""
    MAINTENANCE = "maintenance"
    """Closed for now, in the exchange's own words."""


MODIFIERS: Final = frozenset({Fault.LATENCY, Fault.CLOCK_SKEW})


class FaultRule(BaseModel):
    """One line of the deck: where it applies, how often it strikes, and with what."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    fault: Fault
    exchange: Annotated[str, Field(pattern=f"^({_EXCHANGE_NAMES})$")] = "all"
    path: Annotated[str, Field(max_length=_PATH_MAX_CHARACTERS)] = ""
    method: Annotated[str, Field(pattern=r"^[A-Z]{3,7}$")] | None = None
    operation: Right | None = None
    percent: Annotated[int, Field(ge=1, le=_CERTAIN_PERCENT)] = _CERTAIN_PERCENT
    count: Annotated[int, Field(ge=1, le=_COUNT_MAX)] | None = None
    milliseconds: Annotated[int, Field(ge=-SKEW_MS_MAX, le=SKEW_MS_MAX)] = 0
    status: Annotated[int, Field(ge=200, le=599)] | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.fault is Fault.LATENCY and not 1 <= self.milliseconds <= LATENCY_MS_MAX:
            raise ValueError(f"latency needs milliseconds from 1 to {LATENCY_MS_MAX}")
        if self.fault is Fault.CLOCK_SKEW and not self.milliseconds:
            raise ValueError("clock_skew needs milliseconds other than 0")
        if self.fault is Fault.SERVER_ERROR and (self.status or 500) < 500:  # noqa: PLR2004 - HTTP
            raise ValueError("server_error needs a status from 500 to 599")
        return self


class Deck(BaseModel):
    """What is posted: a seed and the rules, in the order in which they are asked."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    seed: Annotated[str, Field(max_length=_SEED_MAX_CHARACTERS)] = ""
    rules: Annotated[tuple[FaultRule, ...], Field(max_length=RULES_MAX)]


@dataclass(frozen=True, slots=True)
class Struck:
    """What happens to one request. `fault` is None where the exchange answers as ever."""

    delay_ms: int = 0
    skew_ms: int = 0
    rule: FaultRule | None = None


UNHARMED: Final = Struck()


class FaultDeck:
    """The deck in play; empty until one is set."""

    def __init__(self) -> None:
        self._deck = Deck(rules=())
        self._seen: Counter[tuple[int, str]] = Counter()
        self._struck: Counter[int] = Counter()

    def set(self, deck: Deck) -> None:
        """Put a deck in play, and count from nothing again."""
        self._deck = deck
        self._seen.clear()
        self._struck.clear()

    def clear(self) -> None:
        """Let every request be answered again."""
        self.set(Deck(rules=()))

    def shown(self) -> dict[str, Any]:
        """Return the deck in play, with how often each rule was asked and struck."""
        lines = []
        for number, rule in enumerate(self._deck.rules):
            seen = sum(count for (of, _), count in self._seen.items() if of == number)
            told = rule.model_dump(mode="json", exclude_defaults=True)
            lines.append({**told, "seen": seen, "struck": self._struck[number]})
        return {"seed": self._deck.seed, "rules": lines}

    @property
    def is_empty(self) -> bool:
        """Whether nothing can go wrong."""
        return not self._deck.rules

    def draw(self, exchange: str, method: str, path: str, right: Right) -> Struck:
        """Decide one request's fate. Every rule that matches it is asked, also after a strike."""
        delay_ms = skew_ms = 0
        first: FaultRule | None = None
        for number, rule in enumerate(self._deck.rules):
            if not _matches(rule, exchange, method, path, right):
                continue
            if not self._strikes(number, rule, exchange):
                continue
            self._struck[number] += 1
            if rule.fault is Fault.LATENCY:
                delay_ms = min(delay_ms + rule.milliseconds, LATENCY_MS_MAX)
            elif rule.fault is Fault.CLOCK_SKEW:
                skew_ms += rule.milliseconds
            elif first is None:
                first = rule
        return Struck(delay_ms, skew_ms, first)

    def _strikes(self, number: int, rule: FaultRule, exchange: str) -> bool:
        before = self._seen[number, exchange]
        self._seen[number, exchange] += 1
        if rule.count is not None and self._struck[number] >= rule.count:
            return False
        return _dice(self._deck.seed, number, exchange, before) < rule.percent


def _matches(rule: FaultRule, exchange: str, method: str, path: str, right: Right) -> bool:
    return (
        rule.exchange in ("all", exchange)
        and path.startswith(rule.path)
        and rule.method in (None, method)
        and rule.operation in (None, right)
    )


def _dice(seed: str, number: int, exchange: str, before: int) -> int:
    """Return a fixed number from 0 to 99."""
    text = f"{seed}|{number}|{exchange}|{before}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) % _CERTAIN_PERCENT
