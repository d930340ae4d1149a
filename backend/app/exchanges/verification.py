"""What goes into the connector and what comes out: keys still closed, and facts."""

from dataclasses import dataclass, field
from datetime import datetime

from backend.app.enums import Evidence, Known
from backend.app.exchanges.key_information import Balance, KeyInformation
from backend.app.exchanges.reasons import Refusal
from backend.app.exchanges.wire import SigningKeys
from backend.app.secret_value import SecretValue


@dataclass(frozen=True, slots=True)
class ExchangeKeys:
    """One key pair as the vault hands it over, still closed."""

    api_key: str = field(repr=False)
    api_secret: SecretValue
    passphrase: SecretValue | None = None

    def reveal(self) -> SigningKeys:
        """Return the pair open. For the connector alone, at the moment of signing."""
        with self.api_secret.reveal() as secret:
            if self.passphrase is None:
                return SigningKeys(self.api_key, secret)
            with self.passphrase.reveal() as passphrase:
                return SigningKeys(self.api_key, secret, passphrase)


@dataclass(frozen=True, slots=True)
class CallEvidence:
    """What is kept of one call: which, when, how long, how it ended. Nothing of its content.

    `outcome` is "answered", or the fault for which there was no answer.
    """

    endpoint: str
    at: datetime
    latency_ms: int
    outcome: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What an exchange said about a key. Facts only; the verdict is the service's.

    `refusal` is None exactly when the balance was read. `key_information_refusal` says why the
    key's rights are not known, or not all of them. `dry_run_order` says whether an order passed
    the exchange's checks, where that was tried. `clock_offset_ms` is how far the exchange's clock
    is ahead of ours, where an answer told the time: by its time call to some milliseconds, by an
    HTTP date to about a second.
    """

    refusal: Refusal | None
    balances: tuple[Balance, ...] = ()
    key_information: KeyInformation | None = None
    key_information_refusal: Refusal | None = None
    dry_run_order: Known = Known.UNKNOWN
    clock_offset_ms: int | None = None
    clock_evidence: Evidence | None = None
    latency_ms: int = 0
    evidence: tuple[CallEvidence, ...] = ()
