"""Whatever an exchange answers, an inquiry ends in facts and never in an exception."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.clock import utc_now
from backend.app.exchanges.ccxt_client import CcxtClients, CcxtSigner
from backend.app.exchanges.exchange_clock import ExchangeClocks
from backend.app.exchanges.inquiry import Inquiry
from backend.app.exchanges.market_names import MarketNames
from backend.app.exchanges.outbound import OutboundAnswer, OutboundRequest
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.wire import SigningKeys

# The words the eight dialects look for, so that what is made up gets past the first check.
_NAMES = """
balances asset free locked code msg data details ccy availBal frozenBal retCode retMsg
result list coin walletBalance status type balance currency id available holds label
message frozen perm ip uid mainUid permissions Spot Wallet ips readOnly expiredAt
deadlineDay userID isMaster permission ipAddresses validDays accessKey state ipWhitelist
user_id ip_whitelist key mode perms name read_only authorities parentId userId ipWhiteList
remainingValidity enableReading ipRestrict enableWithdrawals
tradingAuthorityExpirationTime err-code err-msg
""".split()  # noqa: SIM905 - a table of words, not sixty lines
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([200, 0, 10**45, -1])
    | st.sampled_from(["0", "200000", "00000", "ok", "spot", "trade", "k", "", "NaN", "-Infinity"])
    | st.sampled_from(["1e999999999", "1e-999999999", "0e-999999999", "-0", "1_0", "٣", "1.5"])
    | st.text(max_size=12)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=4), inner, max_size=8)
    ),
    max_leaves=25,
)


class _MadeUp:
    """An exchange that answers the same made-up text to everything."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = OutboundAnswer(status, body, "no date")

    async def send(self, _exchange: str, _request: OutboundRequest) -> OutboundAnswer:
        return self._answer


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module", params=SUPPORTED)
def signer(request: pytest.FixtureRequest, runner: asyncio.Runner) -> CcxtSigner:
    clients = CcxtClients("http://127.0.0.1:8200")
    return runner.run(clients.signer(request.param, SigningKeys("k", "s", "p")))


async def _ask(inquiry: Inquiry) -> tuple[Any, ...]:
    known, _ = await inquiry.ask_key("k")
    return *(await inquiry.balances(known)), *inquiry.read_key(known, "k")


@given(
    status=st.sampled_from([200, 200, 200, 400, 401, 403, 404, 418, 429, 451, 500, 503]),
    body=_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200),
)
def test_no_answer_is_too_strange_to_be_read(
    runner: asyncio.Runner, signer: CcxtSigner, status: int, body: bytes
) -> None:
    inquiry = Inquiry(
        signer.client.id,
        signer,
        _MadeUp(status, body),
        utc_now,
        time.monotonic,
        clocks=ExchangeClocks(time.monotonic),
        names=MarketNames(time.monotonic),
    )

    balances, refusal, information, unread = runner.run(_ask(inquiry))

    assert (refusal is None) or balances == ()
    assert (information is None) == (unread is not None)
    assert refusal is None or status != 200 or refusal.code is None or len(refusal.code) < 100
    for balance in balances:
        assert balance.available.is_finite()
        assert balance.total >= 0
        assert len(f"{balance.total:f}") < 200
