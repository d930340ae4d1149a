"""CCXT comes in one exchange at a time, late, and whole for whoever wants it whole."""

import subprocess
import sys

import pytest

from backend.app.exchanges.ccxt_loader import load_exchange_class
from backend.app.exchanges.registry import SUPPORTED

_UNASKED = "ccxt.async_support.kraken"


def _python(code: str) -> str:
    # A process of its own: what is imported here stays imported.
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def test_the_connector_can_be_imported_without_ccxt() -> None:
    loaded = _python(
        "import sys, backend.app.exchanges.connector\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'ccxt'])"
    )

    assert loaded == "[]"


def test_loading_all_eight_leaves_the_other_exchanges_on_the_disk() -> None:
    loaded = _python(
        "import sys\n"
        "from backend.app.exchanges.ccxt_loader import load_exchange_class\n"
        f"print([load_exchange_class(name).__name__ for name in {SUPPORTED!r}])\n"
        f"print({_UNASKED!r} in sys.modules, 'ccxt.binance' in sys.modules)"
    )

    assert loaded == f"{list(SUPPORTED)!r}\nFalse False"


def test_whoever_wants_the_whole_package_afterwards_gets_it() -> None:
    told = _python(
        "from backend.app.exchanges.ccxt_loader import load_exchange_class\n"
        "okx = load_exchange_class('okx')\n"
        "import ccxt.async_support as ccxt\n"
        "import ccxt as plain\n"
        "print(ccxt.okx is okx, ccxt.kraken.__name__, plain.BaseError.__name__, plain.okx is okx)"
    )

    assert told == "True kraken BaseError False"


def test_where_ccxt_is_imported_already_its_own_class_is_used() -> None:
    told = _python(
        "import ccxt.async_support as ccxt\n"
        "from backend.app.exchanges.ccxt_loader import load_exchange_class\n"
        "print(load_exchange_class('gate') is ccxt.gate)"
    )

    assert told == "True"


def test_an_exchange_ccxt_does_not_have_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        load_exchange_class("gateio")
