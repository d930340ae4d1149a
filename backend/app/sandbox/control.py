"""`/control`: what the person at this machine may see of the sandbox, and nobody else.

The keys open nothing but the sandbox; still, only the loopback peer gets them, and only under a
loopback name: a web page that has another name point at this address is refused.
"""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import classify_refusal, dialect
from backend.app.exchanges.wire import Right, WireRequest
from backend.app.sandbox.accounts import SeededAccount

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Control:
    """The control endpoints."""

    def __init__(self, accounts: Sequence[SeededAccount], now_ms: Callable[[], int]) -> None:
        self._accounts = accounts
        self._now_ms = now_ms

    async def list_accounts(self, request: Request) -> Response:
        """List every seeded account with its key, for copying."""
        if not is_local(request):
            return forbidden()
        return _unkept([self._line(account, _address(request)) for account in self._accounts])

    async def show_key(self, request: Request) -> Response:
        """Return one account's key in the form in which the vault takes it in."""
        if not is_local(request):
            return forbidden()
        wanted = (request.path_params["exchange"], request.path_params["name"])
        for account in self._accounts:
            if (account.exchange, account.name) == wanted:
                return _unkept(_key_pair(account))
        return JSONResponse({"error": "No such account. See /control/accounts."}, 404)

    def _line(self, account: SeededAccount, address: str) -> dict[str, str | None]:
        return {
            "exchange": account.exchange,
            "name": account.name,
            "api_key": account.keys.api_key,
            "api_secret": account.keys.api_secret,
            "passphrase": account.keys.passphrase,
            "what_happens": account.what_happens,
            "reason": self._reason_read(account, address),
        }

    def _reason_read(self, account: SeededAccount, address: str) -> str | None:
        """Return what is read from the exchange's answer to a balance call: often less is said."""
        reason = account.refusal_for(address, self._now_ms())
        if reason is None and not account.may(Right.READ):
            reason = Reason.PERMISSION_MISSING
        if reason is None:
            return None
        answer = dialect(account.exchange).render_refusal(reason, WireRequest("GET", "/"), address)
        told = classify_refusal(account.exchange, answer.status, answer.body.decode())
        return str(told.reason)


def _key_pair(account: SeededAccount) -> dict[str, str]:
    keys = account.keys
    pair = {
        "exchange_name": account.exchange,
        "api_key": keys.api_key,
        "api_secret": keys.api_secret,
    }
    return pair if keys.passphrase is None else {**pair, "passphrase": keys.passphrase}


def _unkept(body: object) -> Response:
    return JSONResponse(body, headers={"cache-control": "no-store"})


def forbidden() -> Response:
    """Return the answer to everybody else."""
    return JSONResponse({"error": "Only from this machine."}, 403)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def is_local(request: Request) -> bool:
    """Return whether a request comes from this machine, under a name of this machine."""
    headers = request.headers
    return is_from_this_machine(_address(request), headers.get("host", ""), headers.get("origin"))


def is_from_this_machine(address: str, host: str, origin: str | None) -> bool:
    """Return whether a peer, the name it called us by and the page it comes from are all local."""
    return (
        _is_loopback(address)
        and _names_loopback(f"//{host}")
        and (origin is None or _names_loopback(origin))
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
