"""The passport: every seeded account of every exchange, and what no sandbox says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.app.enums import Environment, Evidence, Known, UnknownBecause
from backend.app.exchanges.connector import Connector
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.verification import ExchangeKeys, Verification
from backend.app.schemas.passport_schemas import Passport
from backend.app.secret_value import SecretValue
from backend.app.services.passport import ADDRESSES_MAX, TEXT_LENGTH_MAX, issue_passport
from backend.tests.support.sandbox import RunningSandbox, patient, running_sandbox

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

# Read, trade, withdraw, transfer, bound to addresses, sub-account: yes, no, or "?" for unknown.
RIGHTS = {
    "full": "yynnnn",
    "second": "yynnnn",
    "read_only": "ynnnnn",
    "withdrawal_enabled": "yyyynn",
    "transfer_enabled": "yynynn",
    "bound_here": "yynnyn",
    "expiring_soon": "yynnnn",
    "sub_account": "yynnny",
    "empty": "yynnnn",
    "no_read": "nynnnn",
}
# A key that was refused altogether has no passport.
WITHOUT = {
    "bound_elsewhere",
    "expired",
    "frozen",
    "region_restricted",
    "wrong_environment",
    "skewed_clock",
    "throttled",
    "maintenance",
}
# OKX and HTX: who trades moves funds between his own accounts. Binance, HTX and MEXC do not tell
# sub-accounts apart. Gate tells a sub-account nothing of its key, and of nobody's key whether the
# right to its wallet includes withdrawals. Bybit, Gate and Bitget know no key that does not read.
TOLD_OTHERWISE = {
    **{
        (name, account): {"is_sub_account": "?"}
        for name in ("binance", "mexc")
        for account in RIGHTS
    },
    **{("okx", account): {"can_transfer": "y"} for account in RIGHTS.keys() - {"read_only"}},
    **{
        ("htx", account): {"is_sub_account": "?", "can_transfer": "y"}
        for account in RIGHTS.keys() - {"read_only"}
    },
    ("htx", "read_only"): {"is_sub_account": "?"},
    ("bybit", "no_read"): {"can_read": "y"},
    ("bitget", "no_read"): {"can_read": "y"},
    ("gate", "no_read"): {"can_read": "y"},
    ("gate", "withdrawal_enabled"): {"can_withdraw": "?"},
    ("gate", "transfer_enabled"): {"can_withdraw": "?"},
    ("gate", "sub_account"): {
        "can_trade": "?",
        "can_withdraw": "?",
        "can_transfer": "?",
        "is_sub_account": "?",
    },
}
MEMBERS = (
    "can_read",
    "can_trade",
    "can_withdraw",
    "can_transfer",
    "ip_restricted",
    "is_sub_account",
)
WORDS = {"y": "yes", "n": "no", "?": "unknown"}
ADDRESSES_UNTOLD = {"binance"}
OWNER_UNTOLD = {"binance", "mexc"}
ENDS = {"bybit": "date", "htx": "days", "mexc": "days", "binance": "trading"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


Passports = dict[str, Passport | None]


class Issuer:
    """Tries every account of an exchange once, and remembers what came of it."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self._issued: dict[str, Passports] = {}
        self.took: dict[str, timedelta] = {}

    async def of(self, exchange: str) -> Passports:
        if exchange not in self._issued:
            begun = datetime.now(UTC)
            self._issued[exchange] = await self._tried(exchange)
            self.took[exchange] = datetime.now(UTC) - begun
        return self._issued[exchange]

    async def _tried(self, exchange: str) -> Passports:
        connector = Connector(patient(self._sandbox.base_url))
        passports = {}
        for account in self._sandbox.accounts:
            if account.exchange == exchange:
                keys = account.keys
                phrase = None if keys.passphrase is None else SecretValue(keys.passphrase)
                closed = ExchangeKeys(keys.api_key, SecretValue(keys.api_secret), phrase)
                found = await connector.verify(exchange, closed)
                passport = issue_passport(found, Environment.SANDBOX, datetime.now(UTC))
                passports[account.name] = passport
        await connector.close()
        return passports


@pytest.fixture(scope="module")
def issuer(sandbox: RunningSandbox) -> Issuer:
    return Issuer(sandbox)


def expected_rights(exchange: str, account: str) -> dict[str, str]:
    told = dict(zip(MEMBERS, RIGHTS[account], strict=True))
    told |= TOLD_OTHERWISE.get((exchange, account), {})
    return {name: WORDS[letter] for name, letter in told.items()}


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_the_passport_of_every_seeded_account_is_right(
    sandbox: RunningSandbox, issuer: Issuer, exchange: str
) -> None:
    passports = await issuer.of(exchange)

    assert {name for name, passport in passports.items() if passport is None} == WITHOUT
    held = {name: passport for name, passport in passports.items() if passport is not None}
    assert {
        name: {member: str(getattr(passport, member)) for member in MEMBERS}
        for name, passport in held.items()
    } == {name: expected_rights(exchange, name) for name in RIGHTS}
    for name, passport in held.items():
        account = sandbox.account(exchange, name)
        untold = exchange in ADDRESSES_UNTOLD
        assert passport.ip_addresses == (None if untold else list(account.ip_addresses)), name
        assert passport.owner_uid == (None if exchange in OWNER_UNTOLD else account.owner_uid)
        assert passport.environment is Environment.SANDBOX
        assert passport.latency_ms > 0


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_the_end_of_a_key_is_told_where_the_exchange_tells_it(
    sandbox: RunningSandbox, issuer: Issuer, exchange: str
) -> None:
    passports = await issuer.of(exchange)

    passport, ends_at = passports["expiring_soon"], sandbox.account(exchange, "expiring_soon")
    assert passport is not None
    assert ends_at.expires_at is not None
    told = {
        "date": (ends_at.expires_at, 9, None),
        "days": (passport.checked_at + timedelta(days=10), 10, None),
        "trading": (None, None, ends_at.expires_at),
    }.get(ENDS.get(exchange, ""), (None, None, None))
    assert (passport.expires_at, passport.remaining_days, passport.trading_ends_at) == told
    lasting = passports["full"]
    assert lasting is not None
    assert (lasting.expires_at, lasting.remaining_days, lasting.trading_ends_at) == (None,) * 3


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_every_statement_names_what_it_rests_on_and_no_other_does(
    issuer: Issuer, exchange: str
) -> None:
    for name, passport in (await issuer.of(exchange)).items():
        if passport is None:
            continue
        silent = {None, Known.UNKNOWN}
        told = {
            member
            for member, value in passport.model_dump(exclude={"evidence"}).items()
            if (not isinstance(value, list) and value not in silent) or isinstance(value, list)
        } - {"checked_at", "environment", "latency_ms", "unknown_because"}
        assert passport.evidence.keys() == told, name
        rights = [getattr(passport, right) for right in MEMBERS[:4]]
        assert (passport.unknown_because is None) == (Known.UNKNOWN not in rights), name


async def test_gate_tells_a_sub_account_nothing_and_the_passport_says_why(issuer: Issuer) -> None:
    passports = await issuer.of("gate")

    sub, main = passports["sub_account"], passports["withdrawal_enabled"]
    assert sub is not None
    assert main is not None
    assert (sub.unknown_because, main.unknown_because) == (
        UnknownBecause.REFUSED,
        UnknownBecause.NOT_TOLD,
    )
    # That it reads is no guess: its balance was read.
    assert (sub.can_read, sub.evidence["can_read"]) == (Known.YES, Evidence.ACCOUNT)


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_the_clock_is_read_by_a_time_call_where_the_budget_has_room(
    issuer: Issuer, exchange: str
) -> None:
    passport = (await issuer.of(exchange))["full"]

    assert passport is not None
    assert passport.clock_offset_ms is not None
    by_date = exchange in {"htx", "gate"}
    assert passport.evidence["clock_offset_ms"] == (
        Evidence.HTTP_DATE if by_date else Evidence.FETCH_TIME
    )
    # One machine, one clock; an HTTP date is cut to the second and kept for one. And an answer
    # that a busy machine was late with seems to come from a clock that is.
    late_ms = issuer.took[exchange] / timedelta(milliseconds=1)
    assert abs(passport.clock_offset_ms) < (2_500 if by_date else 1_000) + late_ms


def issue(refusal: Refusal | None = None, **facts: Any) -> Passport:
    asked = {name: facts.pop(name) for name in ("dry_run_order",) if name in facts}
    unread = facts.pop("unread", None)
    known = None if unread is not None and not facts else KeyInformation(**facts)
    found = Verification(
        refusal=refusal, key_information=known, key_information_refusal=unread, **asked
    )
    passport = issue_passport(found, Environment.LIVE, NOW)
    assert passport is not None
    return passport


@pytest.mark.parametrize(
    ("ends_at", "trades"),
    [
        (None, Known.YES),
        (NOW + timedelta(seconds=1), Known.YES),
        (NOW, Known.NO),
        (NOW - timedelta(days=1), Known.NO),
    ],
)
def test_a_right_to_trade_that_has_ended_is_none(ends_at: datetime | None, trades: Known) -> None:
    assert issue(can_trade=Known.YES, trading_ends_at=ends_at).can_trade is trades


def test_the_whole_days_to_a_date_are_counted_and_never_below_none() -> None:
    assert issue(expires_at=NOW + timedelta(days=3, hours=23)).remaining_days == 3
    assert issue(expires_at=NOW - timedelta(days=3)).remaining_days == 0


def test_days_that_make_no_date_are_not_told() -> None:
    passport = issue(remaining_days=10**18)

    assert (passport.expires_at, passport.remaining_days) == (None, None)


@pytest.mark.parametrize(
    ("reason", "because"),
    [
        (Reason.PERMISSION_MISSING, UnknownBecause.REFUSED),
        (Reason.UNKNOWN, UnknownBecause.REFUSED),
        (Reason.EXCHANGE_UNAVAILABLE, UnknownBecause.NO_ANSWER),
        (Reason.RATE_LIMITED, UnknownBecause.NO_ANSWER),
    ],
)
def test_why_the_rights_are_unknown_is_said(reason: Reason, because: UnknownBecause) -> None:
    passport = issue(unread=Refusal(reason))

    assert passport.can_trade is passport.can_withdraw is Known.UNKNOWN
    assert passport.unknown_because is because
    assert passport.evidence == {"can_read": Evidence.ACCOUNT}


@pytest.mark.parametrize("said", [Known.YES, Known.NO])
def test_a_dry_run_order_tells_of_trading_and_of_nothing_else(said: Known) -> None:
    passport = issue(unread=Refusal(Reason.PERMISSION_MISSING), dry_run_order=said)

    assert passport.can_trade is said
    assert passport.evidence["can_trade"] is Evidence.DRY_RUN_ORDER
    assert passport.can_withdraw is Known.UNKNOWN


def test_what_an_exchange_says_is_bounded_and_printable() -> None:
    passport = issue(owner_uid="7\x00\ud800" + "9" * 999, ip_addresses=("1\x00" * 99,) * 5_000)

    assert passport.owner_uid == ("7" + "9" * 999)[:TEXT_LENGTH_MAX]
    assert passport.ip_addresses == ["1" * TEXT_LENGTH_MAX] * ADDRESSES_MAX
