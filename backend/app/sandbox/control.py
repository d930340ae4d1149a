"""`/control`: what the person at this machine may see of the sandbox, and nobody else.

The keys open nothing but the sandbox; still, only the loopback peer gets them, and only under a
loopback name: a web page that has another name point at this address is refused.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.app.sandbox.accounts import SeededAccount

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Control:
    """The control endpoints."""

    def __init__(self, accounts: Sequence[SeededAccount]) -> None:
        self._accounts = accounts

    async def list_accounts(self, request: Request) -> Response:
        """List every seeded account with its key, for copying."""
        if not _from_this_machine(request):
            return JSONResponse({"error": "Only from this machine."}, 403)
        return JSONResponse(
            [
                {
                    "exchange": account.exchange,
                    "name": account.name,
                    "api_key": account.keys.api_key,
                    "api_secret": account.keys.api_secret,
                    "passphrase": account.keys.passphrase,
                    "what_happens": account.what_happens,
                }
                for account in self._accounts
            ],
            headers={"cache-control": "no-store"},
        )


def _from_this_machine(request: Request) -> bool:
    if request.client is None or not _is_loopback(request.client.host):
        return False
    origin = request.headers.get("origin")
    return _names_loopback("//" + request.headers.get("host", "")) and (
        origin is None or _names_loopback(origin)
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _names_loopback(address: str) -> bool:
    try:
        return urlsplit(address).hostname in _LOOPBACK_NAMES
    except ValueError:
        return False
