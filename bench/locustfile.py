"""What merchants do, for Locust: withdraw, repeat themselves, look, and ask for too much.

Run by `make load`, which starts the house. By hand:

    STRONGROOM_TOKENS=FILE locust --locustfile bench/locustfile.py --headless \\
        --users 500 --run-time 2m --host http://127.0.0.1:8000

FILE is what `scripts/seed_merchants.py --tokens FILE` writes. Every answer that is not what it has
to be is a failure. Nobody pauses, so the figures are those of a house that has all it can do.
"""

import json
import os
import random
import uuid
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import gevent
from locust import FastHttpUser, constant, events, task

TOKENS: Final = Path(os.environ["STRONGROOM_TOKENS"]).read_text().split()
CENTS_MAX: Final = 5_000
# A merchant's whole credit and a cent, whatever he has drawn.
TOO_MUCH: Final = "1000.01"
ANSWER_SECONDS_MAX: Final = 30.0
REPEATS_MAX: Final = 20
# What may be said to a withdrawal that is not booked.
REFUSALS: Final = frozenset({"credit-exceeded", "pool-short"})


class Booked:
    """What the house has acknowledged, each key once."""

    def __init__(self) -> None:
        self.count = 0
        self.amount = Decimal(0)
        self.refused: Counter[str] = Counter()

    def note(self, status: int, body: bytes) -> bool:
        """Note one outcome; say whether it is one that may be."""
        told = json.loads(body)
        # 202: booked, and still being paid out when the answer was due.
        if status in {201, 202}:
            self.count += 1
            self.amount += Decimal(told["amount"])
            return True
        self.refused[told["code"]] += 1
        return told["code"] in REFUSALS


BOOKED: Final = Booked()


class Merchant(FastHttpUser):
    """One of five hundred programs; each request is another merchant's."""

    wait_time = constant(0)
    network_timeout = ANSWER_SECONDS_MAX
    connection_timeout = ANSWER_SECONDS_MAX

    @task(12)
    def withdraw(self) -> None:
        """Withdraw a little under a fresh key."""
        with self._asked(_somebody(), _amount(), "POST withdrawal") as answer:
            if not answer.content or not BOOKED.note(answer.status_code, answer.content):
                answer.failure(f"answered {answer.status_code}")
            else:
                answer.success()

    @task(3)
    def repeat(self) -> None:
        """Withdraw twice at once under one key, and again: one withdrawal, one answer."""
        token, amount, key = _somebody(), _amount(), str(uuid.uuid4())
        together = [gevent.spawn(self._outcome, token, amount, key) for _ in range(2)]
        gevent.joinall(together, raise_error=True)
        outcomes = [each.value for each in together]
        for _ in range(REPEATS_MAX):
            outcomes.append(self._outcome(token, amount, key))
            if outcomes[-1] is not None:
                break
        told = {outcome for outcome in outcomes if outcome is not None}
        if len(told) != 1 or not BOOKED.note(*next(iter(told))):
            events.request.fire(
                request_type="CHECK",
                name="one key, one answer",
                response_time=0,
                response_length=0,
                exception=AssertionError(f"{len(told)} answers under one key"),
                context={},
            )

    @task(2)
    def ask_for_too_much(self) -> None:
        """Ask for more than any credit covers."""
        with self._asked(_somebody(), TOO_MUCH, "POST withdrawal too large") as answer:
            if answer.status_code >= 500 or b'"credit-exceeded"' not in (answer.content or b""):
                answer.failure(f"answered {answer.status_code}")
            else:
                answer.success()

    @task(4)
    def look(self) -> None:
        """Look how one stands."""
        self.client.get("/api/v1/me", headers=_headers(_somebody()), name="GET me")

    @task(2)
    def read_statement(self) -> None:
        """Read one's statement."""
        self.client.get(
            "/api/v1/me/statement?limit=50", headers=_headers(_somebody()), name="GET statement"
        )

    def _asked(self, token: str, amount: str, name: str, key: str | None = None) -> Any:
        return self.client.post(
            "/api/v1/withdrawals",
            json={"amount": amount},
            headers={**_headers(token), "Idempotency-Key": key or str(uuid.uuid4())},
            name=name,
            catch_response=True,
        )

    def _outcome(self, token: str, amount: str, key: str) -> tuple[int, bytes] | None:
        """Return what was answered under a key, or None while the first is under way."""
        with self._asked(token, amount, "POST withdrawal repeated", key) as answer:
            body = answer.content or b""
            if b'"idempotency-in-progress"' in body:
                answer.success()
                return None
            if not 200 <= answer.status_code < 500:
                answer.failure(f"answered {answer.status_code}")
            else:
                answer.success()
            # The trace of a refusal is the first request's, so that answers can be compared whole.
            return answer.status_code, body


def _somebody() -> str:
    return random.choice(TOKENS)


def _amount() -> str:
    return f"{Decimal(random.randint(1, CENTS_MAX)) / 100:.2f}"


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@events.quitting.add_listener
def _report(environment: Any, **_: Any) -> None:
    """Write the figures where `make load` reads them."""
    file = os.environ.get("STRONGROOM_LOAD_RESULT")
    if file is None:
        return
    entries = {entry.name: entry for entry in environment.stats.entries.values()}
    shown = {"all": environment.stats.total, **entries}
    figures = {
        name: {
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "per_second": entry.total_rps,
            "p50_ms": entry.get_response_time_percentile(0.5),
            "p99_ms": entry.get_response_time_percentile(0.99),
        }
        for name, entry in shown.items()
    }
    failures = [
        f"{each.name}: {each.error} ({each.occurrences})"
        for each in environment.stats.errors.values()
    ]
    told = {
        "figures": figures,
        "failures": failures,
        "booked": BOOKED.count,
        "amount": str(BOOKED.amount),
        "refused": BOOKED.refused,
    }
    Path(file).write_text(json.dumps(told))
