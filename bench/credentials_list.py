"""Reading the credentials list, signed in and warm, against a bare route with the same bytes.

python -m bench.credentials_list
"""

import json
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from backend.app.migrations import migrate
from backend.tests.support.valkey import Valkey
from bench._support import (
    Load,
    api_environment,
    bare_app,
    cpu_seconds,
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


@dataclass(frozen=True)
class _Target:
    """A server, what it is asked, and its process."""

    port: int
    requests: list[bytes]
    process: int


@dataclass(frozen=True)
class _Found:
    """What the load has shown, and what a request cost the server's process."""

    load: Load
    cpu_us: float


def _measure(targets: dict[str, _Target], seconds: float) -> dict[str, _Found]:
    """Load every target in turn, several times over, so that a busy moment hits all alike."""
    for target in targets.values():
        load(target.port, target.requests, seconds / 2)
    rounds = [
        {name: _measured(target, seconds) for name, target in targets.items()}
        for _ in range(_ROUNDS)
    ]
    return {
        name: _Found(
            middle([each[name].load for each in rounds]),
            min(each[name].cpu_us for each in rounds),
        )
        for name in targets
    }


def _measured(target: _Target, seconds: float) -> _Found:
    before = cpu_seconds(target.process)
    shown = load(target.port, target.requests, seconds)
    spent = cpu_seconds(target.process) - before
    return _Found(shown, spent / (shown.per_second * seconds) * 1e6)


def _line(name: str, ours: _Found, reference: _Found, verdict: str) -> None:
    told = [
        f"{each.load.per_second:>7.0f}/s p99 {each.load.p99_ms:>6.1f} ms {each.cpu_us:>5.0f} us"
        for each in (ours, reference)
    ]
    print(f"{name:<28} {' '.join(told)} {verdict}", flush=True)


def _report(found: dict[str, _Found], pairs: Sequence[tuple[str, str, str, float | None]]) -> None:
    for name, ours, reference, goal in pairs:
        ratio = found[ours].load.per_second / found[reference].load.per_second
        verdict = judged(ratio, goal) if goal else f"{ratio:>6.2f}x"
        _line(name, found[ours], found[reference], verdict)
        # A second opinion that other work on the machine hardly touches.
        cpu = found[reference].cpu_us / found[ours].cpu_us
        print(f"{'  the same by CPU of the server':<93} {cpu:>6.2f}x")


def main(seconds: float) -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres())
        migrate(url)
        valkey = stack.enter_context(Valkey(directory))
        port, alone_port, bare_port = free_port(), free_port(), free_port()
        serve = strongroom("serve", "--role", "api")
        environment = api_environment(url, port, valkey.url)
        shared = stack.enter_context(running(serve, port, "/readyz", environment)).pid
        alone = {**environment, "API_PORT": str(alone_port)}
        del alone["REDIS_URL"]
        single = stack.enter_context(running(serve, alone_port, "/readyz", alone)).pid

        tokens = [_person(port, f"person{number}") for number in range(_PEOPLE)]
        body = directory / "body.json"
        body.write_bytes(_ask(port, "GET", _LIST, tokens[0]))
        bare = stack.enter_context(running(bare_app(bare_port, body), bare_port, "/")).pid

        print(f"{'credentials list':<28} {'ours':>31} {'reference':>31} {'ratio':>7}")
        one, many = _requests(tokens[:1]), _requests(tokens)
        reference = _Target(bare_port, [get("/")] * _CONNECTIONS, bare)
        up = _measure(
            {
                "bare": reference,
                "alone": _Target(alone_port, one, single),
                "up": _Target(port, one, shared),
                "up, many": _Target(port, many, shared),
            },
            seconds,
        )
        valkey.kill()
        down = _measure(
            {
                "bare": reference,
                "down": _Target(port, one, shared),
                "down, many": _Target(port, many, shared),
            },
            seconds,
        )
        # Two runs of the reference tell how far the machine itself has moved meanwhile.
        drift = down["bare"].load.per_second / up["bare"].load.per_second
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
        p99 = found["down"].load.p99_ms / found["up"].load.p99_ms
        print(f"{'p99, Redis down against up':<93} {judged(p99, _DOWN_P99_GOAL, at_least=False)}")
        print(f"(the reference itself moved by {drift:.2f}x between the two halves)")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
