"""One CCXT exchange class at a time, without the hundred others.

`import ccxt` reads every exchange there is: 2.4 s and 110 MiB. Here the two packages stand empty
while one exchange's own module is imported; all eight together take under a second. No file is
changed, and whoever asks an empty package for a name it lacks gets the whole of it after all.

Source: docs/ARCHITECTURE.md, "CCXT's border"; measured in bench/ccxt_loading.py.
"""

import sys
import threading
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, Final

_PACKAGES: Final = ("ccxt", "ccxt.async_support")
# `sys.modules` belongs to the process, so its guard does too.
_IMPORTING: Final = threading.Lock()


def load_exchange_class(exchange: str) -> type[Any]:
    """Return CCXT's asynchronous class of an exchange. Blocks: call it off the event loop.

    Where the real `ccxt` is imported already, it is used as it is.
    """
    with _IMPORTING:
        _prepare()
        module = import_module(f"ccxt.async_support.{exchange}")
        found: type[Any] = getattr(module, exchange)
        # In the whole package the class covers the module of its name; here too.
        setattr(sys.modules["ccxt.async_support"], exchange, found)
    return found


def load_base_error() -> type[Exception]:
    """Return the root of CCXT's errors, without loading more than that."""
    with _IMPORTING:
        _prepare()
        found: type[Exception] = import_module("ccxt.base.errors").BaseError
    return found


def _prepare() -> None:
    for name in _PACKAGES:
        _stand_in(name)
    # CCXT's own base classes take these from the package, which must not fill itself for that.
    lent = {**vars(import_module("ccxt.base.errors"))}
    lent["Exchange"] = import_module("ccxt.base.exchange").Exchange
    for name, value in lent.items():
        vars(sys.modules["ccxt"]).setdefault(name, value)


def _stand_in(name: str) -> None:
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name=name)
    package = module_from_spec(spec)
    package.__dict__["__getattr__"] = _filling(package, spec)
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)


def _filling(package: ModuleType, spec: ModuleSpec) -> Any:
    """Return the package's answer to a name it lacks: become the whole package."""

    def fill(name: str) -> Any:
        # The import system probes for names like __file__; they are no reason to load anything.
        if name.startswith("__") or spec.loader is None:
            raise AttributeError(name)
        package.__dict__.pop("__getattr__", None)
        spec.loader.exec_module(package)
        return getattr(package, name)

    return fill
