"""Reading the credentials list, signed in and warm, against a bare route with the same bytes.

python -m bench.credentials_list
"""

import json
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from backend.app.migrations import migrate
from backend.tests.support.valkey import Valkey
from bench._support import (
    Load,
    api_environment,
    bare_app,
    free_port,
    get,
    judged,
    load,
    middle,
    postgres,
    running,
    strongroom,
)

_LIST = "/api/v1/credentials"
_CONNECTIONS = 32
_PEOPLE = 16
_CREDENTIALS_EACH = 5
_ROUNDS = 3
_RATIO_GOAL = 0.70
_DOWN_RATIO_GOAL = 0.25
_DOWN_P99_GOAL = 4.0


def _ask(port: int, method: str, path: str, token: str | None = None, **body: Any) -> bytes:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status in (200, 201), text
    return text


def _person(port: int, name: str) -> str:
    """Register somebody with credentials and return the access token."""
    password = secrets.token_urlsafe(16)
    _ask(
        port, "POST", "/api/v1/auth/register",
        username=name, email=f"{name}@example.com", password=password,
    )  # fmt: skip
    signed_in = json.loads(
        _ask(port, "POST", "/api/v1/auth/token", username=name, password=password)
    )
    token: str = signed_in["access"]
    for number in range(_CREDENTIALS_EACH):
        _ask(
            port, "POST", _LIST, token,
            exchange_name="binance", api_key=secrets.token_hex(32),
            api_secret=secrets.token_hex(32), label=f"number {number}", verify=False,
        )  # fmt: skip
    return token


def _requests(tokens: Sequence[str]) -> list[bytes]:
    return [get(_LIST, tokens[number % len(tokens)]) for number in range(_CONNECTIONS)]


def _measure(targets: dict[str, tuple[int, list[bytes]]], seconds: float) -> dict[str, Load]:
    """Load every target in turn, several times over, so that a busy moment hits all alike."""
    for port, requests in targets.values():
        load(port, requests, seconds / 2)
    rounds = [
        {name: load(port, requests, seconds) for name, (port, requests) in targets.items()}
        for _ in range(_ROUNDS)
    ]
    return {name: middle([one[name] for one in rounds]) for name in targets}


def _line(name: str, ours: Load, reference: Load, verdict: str) -> None:
    print(
        f"{name:<34} {ours.per_second:>7.0f}/s p99 {ours.p99_ms:>6.1f} ms"
        f" {reference.per_second:>7.0f}/s p99 {reference.p99_ms:>6.1f} ms {verdict}",
        flush=True,
    )


def _report(found: dict[str, Load], pairs: Sequence[tuple[str, str, str, float | None]]) -> None:
    for name, ours, reference, goal in pairs:
        ratio = found[ours].per_second / found[reference].per_second
        verdict = judged(ratio, goal) if goal else f"{ratio:>6.2f}x"
        _line(name, found[ours], found[reference], verdict)


def main(seconds: float) -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres())
        migrate(url)
        valkey = stack.enter_context(Valkey(directory))
        port, alone_port, bare_port = free_port(), free_port(), free_port()
        serve = strongroom("serve", "--role", "api")
        environment = api_environment(url, port, valkey.url)
        stack.enter_context(running(serve, port, "/readyz", environment))
        alone = {**environment, "API_PORT": str(alone_port)}
        del alone["REDIS_URL"]
        stack.enter_context(running(serve, alone_port, "/readyz", alone))

        tokens = [_person(port, f"person{number}") for number in range(_PEOPLE)]
        body = directory / "body.json"
        body.write_bytes(_ask(port, "GET", _LIST, tokens[0]))
        stack.enter_context(running(bare_app(bare_port, body), bare_port, "/"))

        print(f"{'credentials list':<34} {'ours':>26} {'reference':>26} {'ratio':>7}")
        one, many = _requests(tokens[:1]), _requests(tokens)
        reference = (bare_port, [get("/")] * _CONNECTIONS)
        up = _measure(
            {
                "bare": reference,
                "alone": (alone_port, one),
                "up": (port, one),
                "up, many": (port, many),
            },
            seconds,
        )
        valkey.kill()
        down = _measure(
            {"bare": reference, "down": (port, one), "down, many": (port, many)}, seconds
        )
        # Two runs of the reference tell how far the machine itself has moved meanwhile.
        drift = down["bare"].per_second / up["bare"].per_second
        found = {**up, **{name: down[name] for name in ("down", "down, many")}}
        _report(
            found,
            [
                ("in this process, warm", "alone", "bare", _RATIO_GOAL),
                ("with Redis, warm", "up", "bare", _RATIO_GOAL),
                ("Redis down, against up", "down", "up", _DOWN_RATIO_GOAL),
                (f"the same, {_PEOPLE} people", "down, many", "up, many", None),
            ],
        )
        p99 = found["down"].p99_ms / found["up"].p99_ms
        print(f"{'p99, Redis down against up':<34} {judged(p99, _DOWN_P99_GOAL, at_least=False)}")
        print(f"(the reference itself moved by {drift:.2f}x between the two halves)")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
