"""Enter merchants with credit, and a pool that covers it: what a load test draws on.

Goes the way of everybody else, through registration, approval and topping up, so each password is
hashed for itself: for a thousand that is half a minute of processor time, and for `--tokens`, which
signs everybody in, as much again.
Running it again enters who is missing and tops up what is missing. Names and passwords are kept in
a file that only its owner reads, and are never printed.
"""

import argparse
import asyncio
import csv
import io
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, TypeVar

from pydantic import SecretStr, TypeAdapter

from backend.app.commands.key_operations import command_settings
from backend.app.commands.private_file import new_private_file
from backend.app.commands.progress import passing_progress
from backend.app.config import home_directory
from backend.app.container import Container
from backend.app.enums import MerchantState, Role
from backend.app.errors import ConfigurationError, StrongroomError, UserExists
from backend.app.launch import reachable_database
from backend.app.logs import configure_logging
from backend.app.money import in_cents
from backend.app.repositories.user_repository import UserRepository
from backend.app.schemas.auth_schemas import LoginRequest
from backend.app.schemas.merchant_schemas import (
    DEFAULT_POOL,
    Approval,
    MerchantShown,
    PoolChange,
)
from backend.app.schemas.money_fields import MoneyGiven
from backend.app.schemas.user_schemas import Registration
from backend.app.services.password_service import new_password
from backend.app.services.principal import Client, Principal
from backend.app.services.user_service import FIRST_ADMINISTRATOR

MERCHANTS_MAX: Final = 10_000
_MERCHANTS: Final = 1000
_CREDIT: Final = "1000.00"
_PREFIX: Final = "merchant-"
_PREFIX_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_AT_ONCE_MAX: Final = 16
_PAGE_MERCHANTS: Final = 200
_PASSWORD_BYTES: Final = 18
_OTHERS: Final = 0o077
# One address each, as merchants have, of the network that is there for measuring: RFC 2544.
_NETWORK: Final = IPv4Address("198.18.0.0")

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Login:
    """A merchant's name and password, and where he comes from."""

    username: str
    password: SecretStr
    client: Client


class Seeding:
    """Brings merchants and pool to where they should be, from wherever they are."""

    def __init__(self, services: Container, administrator: Principal, credit: str) -> None:
        self._services = services
        self._administrator = administrator
        self._credit = credit

    async def present(self) -> dict[str, MerchantShown]:
        """Return all merchants by name."""
        found: dict[str, MerchantShown] = {}
        after: str | None = "0"
        while after is not None:
            page = await self._services.credit.merchants.page(
                self._administrator, None, _PAGE_MERCHANTS, int(after)
            )
            found |= {each.username: each for each in page.items}
            after = page.next_cursor
        return found

    async def enter(self, login: Login, present: MerchantShown | None) -> None:
        """See to it that there is such a merchant, and that he has credit."""
        if present is not None and present.state != MerchantState.PENDING:
            return
        if present is None:
            asked = Registration(
                username=login.username,
                password=login.password,
                requested_credit=self._credit,
                bank_account=SecretStr(f"TEST {login.username}"),
            )
            merchant_id = (await self._services.auth.register(asked, login.client)).id
        else:
            merchant_id = present.merchant_id
        approval = Approval(merchant_id=merchant_id, credit_limit=self._credit)
        await self._services.credit.merchants.approve(self._administrator, approval)

    async def fund(self, merchants: Iterable[MerchantShown]) -> Decimal:
        """Top the pool up until it covers what these merchants may still draw; return by what."""
        wanted = sum((each.available or Decimal(0) for each in merchants), Decimal(0))
        pools = await self._services.credit.pools.pools()
        pool = next(each for each in pools if each.name == DEFAULT_POOL)
        missing = max(wanted - pool.available_amount, Decimal(0))
        if missing:
            change = PoolChange(amount=in_cents(missing))
            await self._services.credit.pools.top_up(self._administrator, change, None)
        return missing

    async def token(self, login: Login) -> str:
        """Sign a merchant in and return his access token."""
        asked = LoginRequest(username=login.username, password=login.password)
        return (await self._services.auth.login(asked, login.client)).tokens.access


async def seed(
    services: Container, credentials: Path, tokens: Path | None, asked: argparse.Namespace
) -> str:
    """Do all of it, and return what there is to say.

    Raises:
        ConfigurationError: a file cannot be used, or a name is somebody else's.
    """
    seeding = Seeding(services, await _administrator(services), asked.credit)
    present = await seeding.present()
    names = [f"{asked.prefix}{number:05d}" for number in range(1, asked.merchants + 1)]
    logins = _logins(credentials, names, present)
    try:
        await _each("Merchants", logins, lambda one: seeding.enter(one, present.get(one.username)))
    except UserExists:
        raise ConfigurationError(
            f"A user whose name begins with {asked.prefix} is no merchant: choose another --prefix."
        ) from None
    now = await seeding.present()
    topped_up = await seeding.fund(now[name] for name in names)
    if tokens is not None:
        drawn = await _each("Tokens", logins, seeding.token)
        _replace(tokens, "".join(f"{token}\n" for token in drawn))
    entered = sum(name not in present for name in names)
    return (
        f"{entered} merchants entered, {len(names) - entered} were there;"
        f" the pool was topped up by {in_cents(topped_up)}."
    )


async def _administrator(services: Container) -> Principal:
    # Where nobody ever was, somebody is made whose password nobody knows: reset-password gives one.
    await services.users.ensure_administrator(new_password())
    async with services.database.snapshot() as session:
        found = await UserRepository(session).find_by_name(FIRST_ADMINISTRATOR)
    if found is None or found.role != Role.ADMIN:
        raise ConfigurationError(f"There is no administrator called {FIRST_ADMINISTRATOR}.")
    return Principal(found.id, found.username, Role.ADMIN, None)


async def _each(
    words: str, logins: Sequence[Login], work: Callable[[Login], Awaitable[Made]]
) -> list[Made]:
    places = asyncio.Semaphore(_AT_ONCE_MAX)
    with passing_progress() as bar:
        shown = bar.add_task(words, total=len(logins))

        async def one(login: Login) -> Made:
            async with places:
                made = await work(login)
            bar.advance(shown)
            return made

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(login)) for login in logins]
        except ExceptionGroup as failed:
            # One is enough to be told, and the others are cancelled.
            raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def _logins(file: Path, names: Sequence[str], present: Mapping[str, MerchantShown]) -> list[Login]:
    """Read the logins of an earlier run, or make and keep them before anybody is entered."""
    if not file.exists():
        if known := [name for name in names if name in present]:
            raise ConfigurationError(
                f"{known[0]} is there, and {file} is not, which would hold the password."
                " Name the file that was written then, or choose another --prefix."
            )
        made = ((name, secrets.token_urlsafe(_PASSWORD_BYTES)) for name in names)
        _write(file, "".join(f"{name},{password}\n" for name, password in made))
    if file.stat().st_mode & _OTHERS:
        raise ConfigurationError(f"{file} is open to others: chmod 600 {file}")
    kept = dict(csv.reader(io.StringIO(file.read_text())))
    if lacking := [name for name in names if name not in kept]:
        raise ConfigurationError(f"{file} lacks {lacking[0]}: choose another file and --prefix.")
    return [
        Login(name, SecretStr(kept[name]), Client(str(_NETWORK + place), "seed_merchants"))
        for place, name in enumerate(names)
    ]


def _replace(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    _write(path, text)


def _write(path: Path, text: str) -> None:
    with new_private_file(path) as file:
        file.write(text.encode())


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read what is asked for on the command line."""
    parser = argparse.ArgumentParser(description="Enter merchants with credit and fund their pool.")
    parser.add_argument(
        "--credentials",
        type=Path,
        required=True,
        metavar="FILE",
        help="where names and passwords are kept, as name,password",
    )
    parser.add_argument(
        "--tokens",
        type=Path,
        metavar="FILE",
        help="sign everybody in and write an access token a line; replaced",
    )
    parser.add_argument(
        "--merchants",
        type=_count,
        default=_MERCHANTS,
        metavar="N",
        help="how many (default: %(default)s)",
    )
    parser.add_argument(
        "--credit",
        type=_amount,
        default=_CREDIT,
        metavar="AMOUNT",
        help="the limit of each (default: %(default)s)",
    )
    parser.add_argument(
        "--prefix", type=_name, default=_PREFIX, help="of their names (default: %(default)s)"
    )
    return parser.parse_args(words)


def _count(value: str) -> int:
    count = int(value)
    if not 1 <= count <= MERCHANTS_MAX:
        raise ValueError
    return count


def _amount(value: str) -> str:
    return in_cents(TypeAdapter(MoneyGiven).validate_python(value))


def _name(value: str) -> str:
    if not _PREFIX_FORM.fullmatch(value):
        raise ValueError
    return value


async def _seed_configured(asked: argparse.Namespace) -> str:
    home = home_directory()
    settings = command_settings(home)
    configure_logging(settings.server)
    async with reachable_database(settings, home) as url:
        services = Container(settings, url)
        try:
            await services.open()
            return await seed(services, asked.credentials, asked.tokens, asked)
        finally:
            await services.stop()


def main() -> int:
    """Seed the configured database, or the one `up` keeps; what can be mended is told in a line."""
    asked = arguments()
    try:
        print(asyncio.run(_seed_configured(asked)))
    except ConfigurationError as error:
        print(f"seed_merchants: {error}", file=sys.stderr)
        return 2
    except StrongroomError as refusal:
        print(f"seed_merchants: {refusal.detail}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
