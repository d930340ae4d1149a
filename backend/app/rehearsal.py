"""The main job, played once through the public API against the sandbox's seeded accounts."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from rich.console import Console
from rich.table import Table

from backend.app.errors import ConfigurationError

_TIMEOUT_SECONDS: Final = 30
_GOOD_ACCOUNT: Final = "full"

Account = Mapping[str, Any]


async def rehearse(url: str, sandbox_url: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> int:
    """Bind and verify a key of each exchange, then try each bad account; 0 if all went right.

    Raises:
        ConfigurationError: nothing answers there, or not in time.
    """
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            accounts = await _accounts(session, sandbox_url)
            visitor = await _Visitor.register(session, f"{url}/api/v1")
            return await _play(visitor, accounts)
        except TimeoutError:
            raise ConfigurationError(
                f"No answer from {url} or {sandbox_url} within {timeout_seconds:g} seconds."
            ) from None
        except aiohttp.ClientConnectionError:
            raise ConfigurationError(
                f"Nothing answers at {url} or {sandbox_url}. Start both first: make run"
            ) from None


async def _play(visitor: "_Visitor", accounts: Sequence[Account]) -> int:
    console = Console()
    good = [account for account in accounts if account["name"] == _GOOD_ACCOUNT]
    bad = [account for account in accounts if account["name"] != _GOOD_ACCOUNT]
    # One after the other: the first of each exchange loads what speaks to it, and on a busy machine
    # the others' answers would come too late meanwhile.
    bound = [await visitor.bind(account) for account in good]
    console.print(_bound_table(bound))
    verdicts = await asyncio.gather(*(visitor.try_key(account) for account in bad))
    console.print(_verdict_table(bad, verdicts))
    for answer in bound:
        await visitor.unbind(answer)
    verified = sum(answer.get("last_verified_at") is not None for answer in bound)
    console.print(f"{verified} of {len(good)} keys bound and verified; unbound again.")
    return 0 if verified == len(good) > 0 else 1


@dataclass(frozen=True)
class _Visitor:
    """A user made for this rehearsal, signed in."""

    session: aiohttp.ClientSession
    api: str
    headers: Mapping[str, str]

    @classmethod
    async def register(cls, session: aiohttp.ClientSession, api: str) -> "_Visitor":
        name = f"rehearsal-{secrets.token_hex(4)}"
        person = {"username": name, "password": secrets.token_urlsafe(24)}
        await _json(
            session, "POST", f"{api}/auth/register", {**person, "email": f"{name}@example.com"}
        )
        tokens = await _json(session, "POST", f"{api}/auth/token", person)
        return cls(session, api, {"Authorization": f"Bearer {tokens['access']}"})

    async def bind(self, account: Account) -> dict[str, Any]:
        return await self._send("POST", "/credentials", _key_pair(account))

    async def try_key(self, account: Account) -> dict[str, Any]:
        return await self._send("POST", "/exchange/verify", _key_pair(account))

    async def unbind(self, bound: Mapping[str, Any]) -> None:
        if "id" in bound:
            await self._send("DELETE", f"/credentials/{bound['id']}", None)

    async def _send(self, method: str, path: str, body: object) -> dict[str, Any]:
        return await _json(self.session, method, self.api + path, body, self.headers)


def _key_pair(account: Account) -> dict[str, Any]:
    named = {"exchange_name": account["exchange"]}
    return named | {
        member: account[member]
        for member in ("api_key", "api_secret", "passphrase")
        if account.get(member)
    }


async def _accounts(session: aiohttp.ClientSession, sandbox_url: str) -> list[Account]:
    async with session.get(f"{sandbox_url}/control/accounts") as answer:
        found: list[Account] = await answer.json()
        return found


async def _json(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    async with session.request(method, url, json=body, headers=headers) as answer:
        if answer.status == 204:  # noqa: PLR2004
            return {}
        found: dict[str, Any] = await answer.json(content_type=None)
        return found


def _bound_table(bound: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("exchange", "key", "trades", "verified at", title="Bound and verified")
    for answer in bound:
        table.add_row(
            str(answer.get("exchange_name", "-")),
            str(answer.get("api_key_masked", answer.get("detail", "-"))),
            _word(answer.get("has_trading_permission")),
            str(answer.get("last_verified_at", "-"))[:19],
        )
    return table


def _verdict_table(accounts: Sequence[Account], verdicts: Sequence[Mapping[str, Any]]) -> Table:
    """Show each kind of account once, with what the exchanges said of it."""
    said: dict[str, dict[str, list[str]]] = {}
    for account, verdict in zip(accounts, verdicts, strict=True):
        by_words = said.setdefault(account["name"], {})
        by_words.setdefault(_in_words(verdict), []).append(account["exchange"])
    table = Table("account", "verdict", "exchanges", title="Tried without storing")
    for name, by_words in said.items():
        for words, exchanges in by_words.items():
            everywhere = len(by_words) == 1
            table.add_row(name, words, "all" if everywhere else ", ".join(exchanges))
            name = ""  # noqa: PLW2901 - named on its first line only
        table.add_section()
    return table


def _in_words(verdict: Mapping[str, Any]) -> str:
    if not verdict.get("is_valid"):
        standing = str(verdict.get("standing", "no_verdict")).replace("_", " ")
        return f"{standing}: {verdict.get('reason') or verdict.get('code')}"
    rights = verdict["passport"] or {}
    if rights.get("can_trade", "unknown") == "unknown":
        return "valid, rights not told"
    words = ("trade", "withdraw", "transfer")
    can = [word for word in words if rights.get(f"can_{word}") == "yes"]
    return f"valid, can {', '.join(can)}" if can else "valid, reads only"


def _word(known: bool | None) -> str:
    return {True: "yes", False: "no", None: "-"}[known]
