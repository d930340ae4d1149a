"""CCXT's own live tests, run on the sandbox as CCXT's makers run them on the exchanges.

They refuse to run from where packages are installed and end with status 0 whatever happens. So
they run from a copy, and what they print is read: the methods tested, the ones passed over, and
every complaint.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ccxt

from backend.tests.conformance.corrections import CORRECTIONS, SHARED, SHARED_ASYNC
from backend.tests.conformance.skips import (
    DERIVATIVES,
    METHODS_SKIPPED,
    PROPERTIES_SKIPPED,
    REAL_HISTORY,
    SETTINGS,
)
from backend.tests.support.ccxt_clients import redirected
from backend.tests.support.sandbox import RunningSandbox

RUN_SECONDS_MAX: Final = 600
SYMBOL: Final = "BTC/USDT"
_COMPLAINTS: Final = ("[TEST_FAILURE]", "[TEST_WARNING]", "[INFO] NOT_SUPPORTED", "Authentication")
_DONE: Final = re.compile(r"^\[INFO\] TESTING DONE +\w+ (\w+)", re.MULTILINE)
_SKIPPED: Final = re.compile(r"^\[INFO\] SKIPPED_TEST +\w+ (\w+)", re.MULTILINE)
_ENDS: Final = ("[INFO] END PUBLIC_TESTS", "[INFO] END PRIVATE_TESTS")


@dataclass(frozen=True)
class Outcome:
    """What one run said."""

    tested: tuple[str, ...]
    skipped: tuple[str, ...]
    complaints: tuple[str, ...]
    ended: bool
    output: str


def install(root: Path) -> Path:
    """Lay out a copy of CCXT whose tests can run, and return the tests' entry point.

    Raises:
        AssertionError: a passage to correct is not as it was.
    """
    installed = Path(ccxt.__file__).parent
    package = root / "python" / "ccxt"
    package.mkdir(parents=True)
    for entry in installed.iterdir():
        if entry.name not in ("test", "__pycache__"):
            (package / entry.name).symlink_to(entry)
    tests = package / "test"
    shutil.copytree(installed / "test", tests, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(tests / SHARED, tests / SHARED_ASYNC)
    for correction in CORRECTIONS:
        path = tests / correction.path
        text = path.read_text()
        found = text.count(correction.broken)
        assert found == correction.times, (correction, found)
        path.write_text(text.replace(correction.broken, correction.mended))
    return tests / "tests_init.py"


def run(root: Path, sandbox: RunningSandbox, exchange: str, mode: str) -> Outcome:
    """Run every public, private and funded test of one exchange, sync or async."""
    entry_point = install(root)
    (root / "keys.local.json").write_text(json.dumps({exchange: _settings(sandbox, exchange)}))
    (root / "skip-tests.json").write_text(json.dumps({exchange: {"skipMethods": _skips(exchange)}}))
    command = [sys.executable, str(entry_point), exchange, SYMBOL]
    command += ["--info", "--private", "--fundedTests", *(["--sync"] if mode == "sync" else [])]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root / "python")}
    finished = subprocess.run(
        command,
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    return _read(finished.stdout + finished.stderr)


def _settings(sandbox: RunningSandbox, exchange: str) -> Mapping[str, Any]:
    """Return what CCXT's tests find in `keys.local.json`: a key, and where the exchange is."""
    keys = sandbox.account(exchange, "full").keys
    client = getattr(ccxt, exchange)()
    here = redirected(client.urls["api"], sandbox.url(exchange))
    # Of Binance's client the tests want to see the real addresses first, so it is led here by its
    # sandbox mode; the others are led here at once.
    is_led = exchange == "binance"
    urls = {"test" if is_led else "api": here}
    settings: dict[str, Any] = {
        "apiKey": keys.api_key,
        "secret": keys.api_secret,
        "sandbox": is_led,
        "urls": urls,
        "has": dict.fromkeys(DERIVATIVES, False),
        **SETTINGS.get(exchange, {}),
    }
    return settings if keys.passphrase is None else {**settings, "password": keys.passphrase}


def _skips(exchange: str) -> Mapping[str, Any]:
    # `emptyResponse` among a method's properties makes CCXT insist on rows: there are some.
    properties: dict[str, dict[str, Any]] = {
        method: {"emptyResponse": True} for method in REAL_HISTORY
    }
    for (where, method), names in PROPERTIES_SKIPPED.items():
        if where == exchange:
            properties[method] = properties.get(method, {}) | dict.fromkeys(names.split(), True)
    return {**properties, **methods_skipped(exchange)}


def methods_skipped(exchange: str) -> Mapping[str, str]:
    """Return the methods that are not tested on an exchange, each with its reason."""
    return {
        method: reason
        for (where, method), reason in METHODS_SKIPPED.items()
        if where in (exchange, "all")
    }


def _read(output: str) -> Outcome:
    lines = output.splitlines()
    return Outcome(
        tested=tuple(dict.fromkeys(_DONE.findall(output))),
        skipped=tuple(dict.fromkeys(_SKIPPED.findall(output))),
        complaints=tuple(line for line in lines if any(word in line for word in _COMPLAINTS)),
        ended=all(end in output for end in _ENDS),
        output=output,
    )
