"""The books of a shard against the reference, and the laws of money they must never break."""

from collections import Counter

from hypothesis import given

from backend.app.venue.batch import Done, OrderStatus, Pocket, Refused
from backend.app.venue.books import Books
from backend.app.venue.commands import Command
from backend.app.venue.journal_form import read, written
from backend.app.venue.orders import Side
from backend.tests.support.reference_venue import ReferenceVenue
from backend.tests.support.venue_stories import COMMANDS, CUTS, INSTRUMENTS, cut, stories, told


def books() -> Books:
    return Books(INSTRUMENTS, 1, 1)


@given(story=stories(), cuts=CUTS)
def test_they_do_what_the_reference_does(story: list[Command], cuts: set[int]) -> None:
    ours, reference = books(), ReferenceVenue(INSTRUMENTS)

    tables = told(ours, *cut(story, cuts))

    assert [each.reason if isinstance(each, Refused) else None for each in tables.outcomes] == [
        reference.apply(each) for each in story
    ]
    assert tables.orders == reference.stands()
    assert [(each.price, each.quantity, each.taker_order_id) for each in tables.trades] == [
        (each.price, each.quantity, each.taker_id) for each in reference.sales
    ]
    assert {
        (account, asset): (available, locked)
        for account, asset, available, locked in ours.holdings()
    } == reference.wallets()


@given(story=stories(), cuts=CUTS)
def test_how_batches_are_cut_changes_nothing(story: list[Command], cuts: set[int]) -> None:
    one, other = books(), books()

    whole, pieces = told(one, story), told(other, *cut(story, cuts))

    assert vars(pieces) == vars(whole)
    assert other.snapshot() == one.snapshot()


@given(story=stories())
def test_the_lines_of_every_command_sum_to_zero(story: list[Command]) -> None:
    sums: Counter[tuple[int, str]] = Counter()

    for number, _, asset, _, amount in told(books(), story).lines:
        assert amount
        sums[number, asset] += amount

    assert not any(sums.values())


@given(story=stories())
def test_a_command_has_one_line_for_a_pocket(story: list[Command]) -> None:
    lines = told(books(), story).lines

    assert len({each[:4] for each in lines}) == len(lines)


@given(story=stories())
def test_no_account_ever_has_less_than_nothing_and_lines_say_what_it_has(
    story: list[Command],
) -> None:
    ours, balances = books(), Counter[tuple[int | None, str, str]]()
    for command in story:
        for _, account, asset, pocket, amount in ours.carry_out([command]).lines:
            balances[account, asset, pocket] += amount
        assert all(amount >= 0 for (_, _, pocket), amount in balances.items() if pocket != "bank")
        held = {
            (account, asset, pocket): amount
            for account, asset, *both in ours.holdings()
            for pocket, amount in zip((Pocket.AVAILABLE, Pocket.LOCKED), both, strict=True)
        }
        assert {key: each for key, each in held.items() if each} == {
            key: each for key, each in balances.items() if each and key[0] is not None
        }


@given(story=stories())
def test_what_came_in_is_in_wallets_or_was_paid_in_fees(story: list[Command]) -> None:
    tables = told(books(), story)
    sums, fees = Counter[str](), Counter[str]()
    for (_, asset, _), amount in tables.balances().items():
        sums[asset] += amount
    for fill in tables.fills:
        instrument = next(each for each in INSTRUMENTS if each.id == fill.instrument_id)
        received = instrument.base_asset if fill.side is Side.BUY else instrument.quote_asset
        fees[received or ""] += fill.fee

    assert not any(sums.values())
    assert {asset: fee for asset, fee in fees.items() if fee} == {
        asset: amount
        for (_, asset, pocket), amount in tables.balances().items()
        if pocket == Pocket.FEES and amount
    }


@given(story=stories(), refused=COMMANDS)
def test_what_is_refused_changes_nothing(story: list[Command], refused: Command) -> None:
    ours = books()
    told(ours, story)
    before = ours.snapshot()

    batch = ours.carry_out([refused])

    if isinstance(batch.outcomes[0], Refused):
        assert ours.snapshot() == before
        assert not any((batch.commands, batch.placed, batch.changed, batch.trades, batch.lines))


@given(story=stories())
def test_numbers_go_to_what_is_carried_out_and_to_nothing_else(story: list[Command]) -> None:
    tables = told(books(), story)

    done = [each.number for each in tables.outcomes if isinstance(each, Done)]

    assert done == list(range(1, len(tables.commands) + 1))
    assert [each.id for each in tables.trades] == list(range(1, len(tables.trades) + 1))


@given(story=stories(), cuts=CUTS)
def test_the_journal_brings_about_the_same_again(story: list[Command], cuts: set[int]) -> None:
    first, second = books(), books()
    batches = [first.carry_out(each) for each in cut(story, cuts)]

    again = [second.carry_out(read(written(each.commands))) for each in batches if each.commands]

    assert second.snapshot() == first.snapshot()
    assert [each.trades for each in again] == [each.trades for each in batches if each.commands]
    assert not any(isinstance(each, Refused) for batch in again for each in batch.outcomes)


@given(story=stories())
def test_a_book_is_never_crossed(story: list[Command]) -> None:
    ours = books()
    for command in story:
        ours.carry_out([command])
        for each in INSTRUMENTS:
            bids, asks = (ours.depth(each.id, side, 1) for side in Side)
            assert not bids or not asks or bids[0][0] < asks[0][0]


@given(story=stories())
def test_what_is_open_is_in_a_book_and_nothing_else_is(story: list[Command]) -> None:
    ours = books()
    ended = {OrderStatus.FILLED, OrderStatus.CANCELLED}

    tables = told(ours, story)

    assert sorted(number for number, _ in ours.open_orders()) == [
        number for number, (_, _, status) in sorted(tables.orders.items()) if status not in ended
    ]
