"""`strongroom venue`: the same file from the same seed, the same digest from the same file."""

import os
import re
from pathlib import Path

import pytest

from backend.app.commands.venue_file import made_lines, read_orders
from backend.app.database import Database
from backend.app.errors import ConfigurationError
from backend.app.services.venue.replay import Replay
from backend.tests.support.commands import strongroom
from backend.tests.support.databases import server_connection
from backend.tests.support.instruments import CARDS
from backend.tests.support.venue import (
    engine_on,
    led,
    running,
    seeded_orders,
    seeded_spot_commands,
)

HEADING = "trader,card,side,price\n"


def test_the_same_seed_makes_the_same_file() -> None:
    assert list(made_lines(300, 7)) == list(made_lines(300, 7))
    assert list(made_lines(300, 7)) != list(made_lines(300, 8))


def test_a_longer_file_begins_like_a_shorter_one(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("".join(made_lines(25_000, 7)))

    orders = read_orders(file)

    assert len(orders) == 25_000
    assert file.read_text().startswith("".join(made_lines(300, 7)))


@pytest.mark.parametrize(
    "text",
    [
        *("", "1,1,buy,2.50\n", HEADING + "1,1,buy,2.50,x\n", HEADING + "1,5,buy,2.50\n"),
        *(HEADING + "1,1,hold,2.50\n", HEADING + "1,1,buy,0.99\n", HEADING + "1,1,buy,10.01\n"),
        *(HEADING + "\n", HEADING + "é,1,buy,2.50\n"),
    ],
)
def test_a_file_of_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(text)

    with pytest.raises(ConfigurationError):
        read_orders(file)


@pytest.mark.slow
def test_a_bench_prints_the_digest_of_its_file_whoever_sends_it(tmp_path: Path) -> None:
    made = strongroom(
        *("venue", "generate", "--orders", "3000", "--seed", "7", "--out", "orders.csv"),
        cwd=tmp_path,
        env={},
    )
    told = [
        strongroom("venue", "bench", "orders.csv", *options, cwd=tmp_path, env={})
        for options in (
            ("--clients", "7"),
            ("--clients", "1000"),
            ("--clients", "50", "--processes", "2"),
        )
    ]

    market = Replay(CARDS)
    market.add(read_orders(tmp_path / "orders.csv"))
    assert (made.returncode, made.stdout) == (0, "3000 orders in orders.csv\n")
    assert [each.returncode for each in told] == [0] * 3, [each.stderr for each in told]
    # Two processes number their orders apart, and yet the same orders meet.
    results = {re.search(r"^result ([0-9a-f]{64})$", each.stdout, re.MULTILINE)[1] for each in told}  # type: ignore[index]
    assert len(results) == 1
    for each in told:
        assert "orders/s" in each.stdout
        assert "p99" in each.stdout
    for each in told[:2]:
        assert re.search(r"digest ([0-9a-f]{64})", each.stdout)[1] == market.digest()  # type: ignore[index]


async def test_a_replay_proves_both_shards_and_names_what_differs(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    async with server_connection(database_url) as connection:
        pair = await connection.fetchval("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'")
        for shard, commands in ((0, seeded_orders(200)), (1, seeded_spot_commands(200, pair))):
            async with running(engine_on(database, shard)) as engine:
                await led(engine)
                await engine.carry_out(commands)
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url}
        sound = strongroom("venue", "replay", "--verify", cwd=tmp_path, env=environment)
        await connection.execute("UPDATE fills SET fee = fee + 1 WHERE trade_id = 1 AND is_maker")
        changed = strongroom("venue", "replay", "--verify", cwd=tmp_path, env=environment)

    assert (sound.returncode, sound.stdout.count("The tables say the same.")) == (0, 2)
    assert re.search(r"^cards: 200 orders, \d+ trades", sound.stdout, re.MULTILINE)
    assert re.search(r"^spot: \d+ orders, \d+ trades", sound.stdout, re.MULTILINE)
    assert changed.returncode == 1
    assert "DIFFERENT: a fill of account" in changed.stdout


async def test_seeding_says_what_it_added_and_what_is_not_as_it_belongs(
    tmp_path: Path, database_url: str
) -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url}
    async with server_connection(database_url) as connection:
        await connection.execute("DELETE FROM instruments WHERE id > 1")
        added = strongroom("venue", "seed", cwd=tmp_path, env=environment)
        await connection.execute("UPDATE instruments SET is_active = false WHERE id = 2")
        await connection.execute("UPDATE instruments SET name = 'Toad' WHERE id = 3")
        left = strongroom("venue", "seed", cwd=tmp_path, env=environment)

    pairs = "BTC/USDT, ETH/USDT, SOL/USDT, XRP/USDT, ADA/USDT, DOGE/USDT, LTC/USDT, ETH/BTC"
    assert (added.returncode, added.stderr) == (0, "")
    assert added.stdout.splitlines() == [
        f"added: CHARMANDER, BULBASAUR, SQUIRTLE, {pairs}",
        "there already: PIKACHU",
        "What is running trades what was added when it starts again.",
    ]
    assert (left.returncode, left.stderr) == (1, "")
    assert left.stdout.splitlines() == [
        f"there already: PIKACHU, SQUIRTLE, {pairs}",
        "halted (--open ends it): CHARMANDER",
        "BULBASAUR is left as it is: name is Toad, not Bulbasaur.",
    ]
