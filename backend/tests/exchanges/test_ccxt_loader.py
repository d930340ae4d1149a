"""CCXT comes in one exchange at a time, late, and whole for whoever wants it whole."""

import json
import subprocess
import sys
from typing import Any

import ccxt.async_support as ccxt
import pytest

from backend.app.exchanges.ccxt_loader import load_exchange_class
from backend.app.exchanges.registry import SUPPORTED

# What a fresh process finds, one step after the other.
_STEPS = f"""
import json, sys
told = {{}}
import backend.app.exchanges.connector
told["with the connector"] = [name for name in sys.modules if name.split(".")[0] == "ccxt"]
from backend.app.exchanges.ccxt_loader import load_exchange_class
eight = [load_exchange_class(name) for name in {SUPPORTED!r}]
told["names"] = [each.__name__ for each in eight]
told["with all eight"] = [
    name for name in ("ccxt.async_support.kraken", "ccxt.binance") if name in sys.modules
]
okx = load_exchange_class("okx")
import ccxt.async_support as ccxt
import ccxt as plain
told["the whole"] = [
    ccxt.okx is okx, ccxt.kraken.__name__, plain.BaseError.__name__, plain.okx is okx
]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    # A process of its own: what is imported here stays imported.
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", _STEPS], capture_output=True, text=True, check=True
    )
    return dict(json.loads(ran.stdout))


def test_the_connector_can_be_imported_without_ccxt(found: dict[str, Any]) -> None:
    assert found["with the connector"] == []


def test_loading_all_eight_leaves_the_other_exchanges_on_the_disk(found: dict[str, Any]) -> None:
    assert found["names"] == list(SUPPORTED)
    assert found["with all eight"] == []


def test_whoever_wants_the_whole_package_afterwards_gets_it(found: dict[str, Any]) -> None:
    assert found["the whole"] == [True, "kraken", "BaseError", False]


def test_where_ccxt_is_imported_already_its_own_class_is_used() -> None:
    assert load_exchange_class("gate") is ccxt.gate


def test_an_exchange_ccxt_does_not_have_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        load_exchange_class("gateio")
