"""The eight renderers by name, loaded when first asked for."""

from functools import cache
from importlib import import_module
from typing import Final, cast

from backend.app.exchanges.answers.base import Answers

_CLASSES: Final = {
    "binance": "BinanceAnswers",
    "okx": "OkxAnswers",
    "bybit": "BybitAnswers",
    "htx": "HtxAnswers",
    "kucoin": "KucoinAnswers",
    "gate": "GateAnswers",
    "bitget": "BitgetAnswers",
    "mexc": "MexcAnswers",
}


@cache
def answers(exchange: str) -> Answers:
    """Return the renderer of one exchange; it keeps no state, so all callers share it.

    Raises:
        KeyError: none of the eight.
    """
    name = _CLASSES[exchange]
    module = import_module(f"backend.app.exchanges.answers.{exchange}")
    return cast("Answers", getattr(module, name)())
