"""The way to the settlement: one address, one token, bounded in time, size and number.

No redirect is followed, no proxy asked, no cookie kept. An answer counts only if it is about the
very payout that was asked for; whatever else comes back says nothing about the money.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import aiohttp
import yarl
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import SecretStr, ValidationError

from backend.app.enums import SettlementState
from backend.app.errors import ConfigurationError
from backend.app.exchanges.bounded_body import (
    ACCEPT_ENCODING,
    BodyTooLarge,
    BodyUndecodable,
    read_bounded,
)
from backend.app.exchanges.breaker import Breaker, BreakerOpen
from backend.app.logs import logger
from backend.app.money import in_cents
from backend.app.schemas.settlement_schemas import SettlementShown
from backend.app.services.settlement.token_door import TOKEN_HEADER, settlement_tokens
from backend.app.services.settlement.verdicts import (
    NotAsked,
    Payout,
    Refused,
    Settled,
    Silence,
    Unknown,
    Verdict,
)

CONNECT_SECONDS_MAX: Final = 0.5
ANSWER_SECONDS_MAX: Final = 3.0
ANSWER_BYTES_MAX: Final = 16 * 1024
ASKED_AT_ONCE_MAX: Final = 16
FAILURES_TO_REST: Final = 5
REST_SECONDS: Final = 2.0
_SILENCES: Final[Mapping[int, Silence]] = {
    HTTPStatus.UNAUTHORIZED: Silence.TOKEN_REFUSED,
    HTTPStatus.FORBIDDEN: Silence.TOKEN_REFUSED,
    HTTPStatus.CONFLICT: Silence.CONTRADICTED,
    HTTPStatus.UNPROCESSABLE_ENTITY: Silence.CONTRADICTED,
}
_LOG: Final = logger(__name__)


class _Silent(Exception):
    """The settlement was perhaps asked and gave no usable answer. Holds no text of it."""

    def __init__(self, silence: Silence) -> None:
        super().__init__(silence.value)
        self.silence = silence


class _Away(Exception):
    """No connection came about, so nothing was asked."""


class SettlementClient:
    """Asks the settlement at one address.

    Raises:
        ConfigurationError: the address or the token cannot be used.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr | None,
        *,
        connect_seconds_max: float = CONNECT_SECONDS_MAX,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = _address(url)
        self._token = SecretStr(settlement_tokens(token)[0].decode())
        self._connect_seconds_max = connect_seconds_max
        self._answer_seconds_max = answer_seconds_max
        self._breaker = Breaker(FAILURES_TO_REST, REST_SECONDS, monotonic)
        self._places = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
        self._session: aiohttp.ClientSession | None = None

    async def pay(self, payout: Payout) -> Verdict:
        """Ask for a payout. One that was perhaps asked for before is inquired about first."""
        async with self._places:
            try:
                with self._breaker.attempt(_Away, _Silent):
                    return await self._paid(payout)
            except (_Away, BreakerOpen):
                return NotAsked()
            except _Silent as silent:
                _LOG.warning(
                    "settlement_silent",
                    withdrawal_id=payout.withdrawal_id,
                    reason=silent.silence.value,
                )
                return Unknown(silent.silence)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _paid(self, payout: Payout) -> Verdict:
        if payout.tries > 1:
            known = await self._ask("GET", f"withdrawals/{payout.withdrawal_id}")
            if known is not None:
                return _verdict(known, payout)
        # The account is shown here and nowhere else.
        order = {
            "merchant_id": payout.merchant_id,
            "account_id": payout.account_id,
            "amount": in_cents(payout.amount),
            "account": payout.bank_account.get_secret_value(),
            "withdrawal_id": payout.withdrawal_id,
        }
        answer = await self._ask("POST", "withdraw", order)
        if answer is None:
            raise _Silent(Silence.UNUSABLE_ANSWER)
        return _verdict(answer, payout)

    async def _ask(
        self, method: str, path: str, order: dict[str, object] | None = None
    ) -> SettlementShown | None:
        """Return the answer, or None where there is no such thing."""
        try:
            async with (
                asyncio.timeout(self._answer_seconds_max),
                self._opened().request(
                    method,
                    self._url / path,
                    json=order,
                    headers={
                        TOKEN_HEADER: self._token.get_secret_value(),
                        "Accept-Encoding": ACCEPT_ENCODING,
                    },
                    allow_redirects=False,
                ) as answer,
            ):
                if answer.status == HTTPStatus.NOT_FOUND:
                    return None
                if answer.status != HTTPStatus.OK:
                    raise _Silent(_SILENCES.get(answer.status, Silence.UNUSABLE_ANSWER))
                encoding = answer.headers.get("Content-Encoding", "")
                body = await read_bounded(answer.content.iter_any(), encoding, ANSWER_BYTES_MAX)
            return SettlementShown.model_validate_json(body)
        except aiohttp.ClientConnectorError:
            raise _Away from None
        except (ValidationError, BodyTooLarge, BodyUndecodable):
            raise _Silent(Silence.UNUSABLE_ANSWER) from None
        except (TimeoutError, aiohttp.ClientError, HttpProcessingError, OSError):
            raise _Silent(Silence.NO_ANSWER) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=ASKED_AT_ONCE_MAX),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_seconds_max),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


def _verdict(answer: SettlementShown, payout: Payout) -> Verdict:
    told = (answer.withdrawal_id, answer.merchant_id, answer.account_id, answer.amount)
    if told != (payout.withdrawal_id, payout.merchant_id, payout.account_id, payout.amount):
        raise _Silent(Silence.CONTRADICTED)
    if answer.state is SettlementState.SETTLED:
        return Settled()
    return Refused(answer.reason or "refused")


def _address(url: str) -> yarl.URL:
    try:
        base = yarl.URL(url)
        base.origin()
    except ValueError:
        base = yarl.URL()
    bare = base.host and not (base.user or base.password or base.query_string or base.fragment)
    if base.scheme not in ("http", "https") or not bare:
        raise ConfigurationError("SETTLEMENT_URL: expected http(s)://host[:port][/path]")
    return base / "api" / "settlement"
