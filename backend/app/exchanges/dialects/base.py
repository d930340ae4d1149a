"""The form of a dialect: what the verifier, the sandbox and the gateway ask of each exchange.

A dialect is pure: no I/O, no clock, no logging. Times come in as Unix milliseconds.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from backend.app.exchanges.key_information import Balance, KeyInformation, OpenOrder
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import Right, SigningKeys, WireAnswer, WireRequest


class NotTheExchange(Exception):
    """A body that parses as nothing this exchange would say on success.

    Carries no part of the body.
    """


class Dialect(ABC):
    """How one exchange speaks."""

    exchange: ClassVar[str]
    """The canonical id, as in the registry and in CCXT."""

    @abstractmethod
    def api_key_in(self, request: WireRequest) -> str | None:
        """Return the key a request names, or None where it names none."""

    @abstractmethod
    def sign(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> WireRequest:
        """Return the request signed as this exchange's own clients sign it.

        Whatever signature, key or time the request carried before is replaced.
        """

    @abstractmethod
    def check(self, request: WireRequest, keys: SigningKeys, now_ms: int) -> Reason | None:
        """Judge a signed request as the exchange would, in the exchange's own order of checks.

        Returns None when time, passphrase and signature are right; otherwise CLOCK_SKEW,
        WRONG_PASSPHRASE or BAD_SIGNATURE. Signatures are compared in constant time.
        """

    @abstractmethod
    def right_needed(self, request: WireRequest) -> Right:
        """Return what a key must be allowed to do for this method and path."""

    @abstractmethod
    def classify(self, http_status: int, body: str) -> Refusal | None:
        """Read a refusal from an answer by this exchange's own codes and texts.

        Returns None when the body holds no code of this exchange; the general rule in
        `registry.classify_refusal` then judges by status. Never raises, whatever the body.
        """

    @abstractmethod
    def render_refusal(
        self, reason: Reason, request: WireRequest, caller_address: str
    ) -> WireAnswer:
        """Return the answer this exchange gives for a reason: its status, code and text.

        A reason the exchange has no words of its own for is answered with its nearest code.
        """

    @abstractmethod
    def read_balances(self, answers: Sequence[Any]) -> tuple[Balance, ...]:
        """Read the spot balances from the parsed JSON answers of the balance calls, in order.

        Raises:
            NotTheExchange: the success marker is missing, or an amount is not a finite,
                non-negative number.
        """

    @abstractmethod
    def read_open_orders(self, answers: Sequence[Any]) -> tuple[OpenOrder, ...]:
        """Read the open spot orders from the parsed JSON answers of their calls, in order.

        Raises:
            NotTheExchange: the success marker is missing, or an order is not told as documented.
        """

    @abstractmethod
    def read_key_information(self, answers: Sequence[Any], api_key: str) -> KeyInformation:
        """Read a key's rights from the parsed JSON answers of the key-information calls, in order.

        An answer may be None where a call was refused; what it would have told stays unknown.
        Words nobody documented stay unknown, never guessed.

        Raises:
            NotTheExchange: an answer lacks the success marker or the documented form.
        """
