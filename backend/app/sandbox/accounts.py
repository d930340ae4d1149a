"""The seeded accounts: one for every way an exchange can take a key or refuse it.

No key is written down anywhere: each is derived from the installation's seed, in the alphabet and
length its exchange uses, and is the same after every restart.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from string import ascii_letters, digits
from typing import Final

from backend.app.enums import Known
from backend.app.exchanges.key_information import Balance, KeyInformation
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.wire import Right, SigningKeys

_FULL: Final = frozenset({Right.READ, Right.TRADE})
_ELSEWHERE: Final = ("203.0.113.7",)
_HERE: Final = ("127.0.0.1", "::1")

_FUNDS: Final = (
    Balance("USDT", Decimal(100000)),
    Balance("BTC", Decimal("2.5")),
    Balance("ETH", Decimal(40)),
    Balance("SOL", Decimal(500)),
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One line of the table below, the same on all eight exchanges."""

    name: str
    what_happens: str
    rights: frozenset[Right] = _FULL
    ip_addresses: tuple[str, ...] = ()
    expires_in_days: int | None = None
    is_sub_account: bool = False
    refusal: Reason | None = None
    balances: tuple[Balance, ...] = _FUNDS


_KINDS: Final = (
    _Kind("full", "Reads and trades. Not bound to an address."),
    _Kind("second", "As full, another owner: two accounts can trade with each other."),
    _Kind("read_only", "Reads; orders are refused.", frozenset({Right.READ})),
    _Kind(
        "withdrawal_enabled",
        "Reads, trades, transfers and may withdraw: the key one should not hand out.",
        _FULL | {Right.TRANSFER, Right.WITHDRAW},
    ),
    _Kind("transfer_enabled", "Reads, trades and may transfer.", _FULL | {Right.TRANSFER}),
    _Kind("bound_here", "Bound to the loopback address, so it works.", ip_addresses=_HERE),
    _Kind(
        "bound_elsewhere",
        "Bound to another address: refused for where the request comes from.",
        ip_addresses=_ELSEWHERE,
    ),
    _Kind("expiring_soon", "Works, and ends in ten days.", expires_in_days=10),
    _Kind("expired", "Refused: the key's end date has passed.", expires_in_days=-3),
    _Kind("frozen", "Refused: the account is frozen.", refusal=Reason.ACCOUNT_RESTRICTED),
    _Kind(
        "no_read", "Tells what it is; balances and orders are refused.", frozenset({Right.TRADE})
    ),
    _Kind("sub_account", "Works as full, on a sub-account.", is_sub_account=True),
    _Kind("empty", "Works, and holds nothing.", balances=()),
    _Kind(
        "region_restricted",
        "Refused: the service is not offered where the request comes from.",
        refusal=Reason.REGION_RESTRICTED,
    ),
    _Kind(
        "wrong_environment",
        "Refused: a key of the other world (live or demo).",
        refusal=Reason.WRONG_ENVIRONMENT,
    ),
    _Kind(
        "skewed_clock",
        "Refused: the exchange finds every request too old.",
        refusal=Reason.CLOCK_SKEW,
    ),
    _Kind("throttled", "Refused: too many requests.", refusal=Reason.RATE_LIMITED),
    _Kind("maintenance", "No answer to the point.", refusal=Reason.EXCHANGE_UNAVAILABLE),
)


@dataclass(frozen=True, slots=True)
class _Alphabet:
    """What a credential of one exchange looks like: runs of letters between dashes."""

    letters: str
    lengths: tuple[int, ...]
    prefix: str = ""


_HEX: Final = "0123456789abcdef"
_LETTERS: Final = ascii_letters + digits
_UUID: Final = _Alphabet(_HEX, (8, 4, 4, 4, 12))
_PASSPHRASE: Final = _Alphabet(_LETTERS, (16,))

_SHAPES: Final[dict[str, dict[str, _Alphabet]]] = {
    "binance": {"key": _Alphabet(_LETTERS, (64,)), "secret": _Alphabet(_LETTERS, (64,))},
    "okx": {"key": _UUID, "secret": _Alphabet(_HEX.upper(), (32,)), "passphrase": _PASSPHRASE},
    "bybit": {"key": _Alphabet(_LETTERS, (18,)), "secret": _Alphabet(_LETTERS, (36,))},
    "htx": {"key": _Alphabet(_HEX, (8, 8, 8, 5)), "secret": _Alphabet(_HEX, (8, 8, 8, 5))},
    "kucoin": {"key": _Alphabet(_HEX, (24,)), "secret": _UUID, "passphrase": _PASSPHRASE},
    "gate": {"key": _Alphabet(_HEX, (32,)), "secret": _Alphabet(_HEX, (64,))},
    "bitget": {
        "key": _Alphabet(_HEX, (32,), prefix="bg_"),
        "secret": _Alphabet(_HEX, (64,)),
        "passphrase": _PASSPHRASE,
    },
    "mexc": {
        "key": _Alphabet(_LETTERS, (15,), prefix="mx0"),
        "secret": _Alphabet(_HEX, (32,)),
    },
}

EXCHANGES: Final = tuple(_SHAPES)


@dataclass(frozen=True, slots=True)
class SeededAccount:
    """One account on one exchange, with its only key."""

    exchange: str
    name: str
    what_happens: str
    keys: SigningKeys = field(repr=False)
    rights: frozenset[Right]
    ip_addresses: tuple[str, ...]
    expires_at: datetime | None
    is_sub_account: bool
    refusal: Reason | None
    balances: tuple[Balance, ...]
    owner_uid: str

    @property
    def account_id(self) -> str:
        """The account's name in the world."""
        return f"{self.exchange}:{self.name}"

    def refusal_for(self, caller_address: str, now_ms: int) -> Reason | None:
        """Return why the exchange turns this key away, however well a request is signed."""
        if self.expires_at is not None and self.expires_at.timestamp() * 1000 <= now_ms:
            return Reason.KEY_EXPIRED
        if self.refusal is not None:
            return self.refusal
        if self.ip_addresses and caller_address not in self.ip_addresses:
            return Reason.IP_NOT_ALLOWED
        return None

    def may(self, right: Right) -> bool:
        """Return whether the key has a right; to ask what it is needs none."""
        return right is Right.KEY or right in self.rights

    def information(self) -> KeyInformation:
        """Return what the exchange knows of the key."""
        return KeyInformation(
            can_read=_known(Right.READ in self.rights),
            can_trade=_known(Right.TRADE in self.rights),
            can_withdraw=_known(Right.WITHDRAW in self.rights),
            can_transfer=_known(Right.TRANSFER in self.rights),
            ip_restricted=_known(bool(self.ip_addresses)),
            ip_addresses=self.ip_addresses,
            expires_at=self.expires_at,
            is_sub_account=_known(self.is_sub_account),
            owner_uid=self.owner_uid,
        )


def seeded_accounts(seed: bytes, now_ms: int) -> Sequence[SeededAccount]:
    """Derive every account of every exchange; end dates count from now."""
    return tuple(
        _account(seed, exchange, kind, now_ms) for exchange in EXCHANGES for kind in _KINDS
    )


def _account(seed: bytes, exchange: str, kind: _Kind, now_ms: int) -> SeededAccount:
    def derived(word: str) -> str:
        return _derive(seed, f"{exchange}|{kind.name}|{word}", _SHAPES[exchange][word])

    began = datetime.fromtimestamp(now_ms // 1000, UTC)
    days = kind.expires_in_days
    return SeededAccount(
        exchange=exchange,
        name=kind.name,
        what_happens=kind.what_happens,
        keys=SigningKeys(
            api_key=derived("key"),
            api_secret=derived("secret"),
            passphrase=derived("passphrase") if "passphrase" in _SHAPES[exchange] else None,
        ),
        rights=kind.rights,
        ip_addresses=kind.ip_addresses,
        expires_at=None if days is None else began + timedelta(days=days),
        is_sub_account=kind.is_sub_account,
        refusal=kind.refusal,
        balances=kind.balances,
        owner_uid=_derive(seed, f"{exchange}|{kind.name}|owner", _Alphabet("123456789", (9,))),
    )


def _derive(seed: bytes, name: str, shape: _Alphabet) -> str:
    letters = _letters(seed, name, shape.letters)
    runs = ("".join(next(letters) for _ in range(length)) for length in shape.lengths)
    return shape.prefix + "-".join(runs)


def _letters(seed: bytes, name: str, alphabet: str) -> Iterator[str]:
    # Bytes past the last full round of the alphabet are thrown away: every letter as likely.
    fair = 256 - 256 % len(alphabet)
    block = 0
    while True:
        for byte in hmac.digest(seed, f"{name}|{block}".encode(), hashlib.sha256):
            if byte < fair:
                yield alphabet[byte % len(alphabet)]
        block += 1


def _known(stated: bool) -> Known:
    return Known.YES if stated else Known.NO
