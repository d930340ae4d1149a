"""What an account's ledger says adds up to what it holds, however short its history was cut."""

from decimal import Decimal

from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import Deposit, Fill, Market, Side
from backend.app.sandbox.ledger_lines import ledger_lines

BTC = Market(
    "BTC",
    "USDT",
    Decimal("0.01"),
    Decimal("0.00001"),
    Decimal("0.00001"),
    Decimal(100),
    Decimal(5),
)


def fill(number: int, side: Side, amount: str, price: str, fee: str) -> Fill:
    return Fill(
        fill_id=number,
        order_id=2**40 + number,
        market=BTC,
        side=side,
        price=Decimal(price),
        amount=Decimal(amount),
        is_maker=False,
        at_ms=number,
        fee=Decimal(fee),
    )


def test_balances_are_reckoned_back_from_what_is_held() -> None:
    held = [Balance("BTC", Decimal("0.5"), Decimal("0.499")), Balance("USDT", Decimal(40_000))]
    given = [Deposit(2**40, "USDT", Decimal(100_000), 0)]
    fills = [fill(1, Side.BUY, "1", "60000", "0.001")]

    lines = ledger_lines(held, given, fills)

    assert [(line.asset, line.change, line.balance) for line in lines] == [
        ("USDT", Decimal(100_000), Decimal(100_000)),
        ("BTC", Decimal("0.999"), Decimal("0.999")),
        ("USDT", Decimal(-60_000), Decimal(40_000)),
    ]


def test_a_history_that_was_cut_ends_with_what_is_held_all_the_same() -> None:
    held = [Balance("BTC", Decimal(2)), Balance("USDT", Decimal("49.95"))]

    lines = ledger_lines(held, [], [fill(9, Side.SELL, "1", "50", "0.05")])

    assert [(line.asset, line.change, line.balance) for line in lines] == [
        ("USDT", Decimal("49.95"), Decimal("49.95")),
        ("BTC", Decimal(-1), Decimal(2)),
    ]


def test_no_two_lines_have_one_number() -> None:
    fills = [fill(number, Side.BUY, "1", "10", "0") for number in range(1, 50)]
    lines = ledger_lines([], [Deposit(2**40, "USDT", Decimal(1), 0)], fills)

    assert len({line.line_id for line in lines}) == len(lines) == 99
