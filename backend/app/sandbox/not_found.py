"""What each exchange says of a path it does not have.

The codes of KuCoin and Bitget are documented; the others answer with the status alone, in the
envelope their clients know, under a code no table reads as a verdict on a key.
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.exchanges.answers.rendering import json_body
from backend.app.exchanges.wire import WireAnswer, WireRequest

_BODIES: Final[Mapping[str, Any]] = {
    "okx": {"code": "404", "msg": "Not Found", "data": []},
    "bybit": {"retCode": 404, "retMsg": "Not Found", "result": {}, "retExtInfo": {}},
    "htx": {"status": "error", "err-code": "not-found", "err-msg": "Not Found", "data": None},
    "kucoin": {"code": "404000", "msg": "Url Not Found"},
    "gate": {"label": "NOT_FOUND", "message": "Not Found"},
    "bitget": {"code": "40404", "msg": "Request URL NOT FOUND", "data": None},
}
_PLAIN: Final = {"status": 404, "error": "Not Found"}


def not_found(exchange: str, request: WireRequest) -> WireAnswer:
    """Return status 404 in the exchange's own form."""
    body = _BODIES.get(exchange, {**_PLAIN, "path": request.path})
    return WireAnswer(404, json_body(body), {"content-type": "application/json"})
