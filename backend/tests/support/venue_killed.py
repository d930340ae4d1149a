"""Run as a program: let engines work for clients, kill them at any point, and again.

Prints what clients were answered, a line each: `order|transfer ACCOUNT NAME NUMBER`. Each life is
a fork of this process, so that two hundred of them do not read the same modules two hundred times.
The last one lives until both engines have worked, however slow one of them was before.
"""

import asyncio
import itertools
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable

from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.errors import StrongroomError
from backend.app.repositories.venue_names import Known
from backend.app.services.venue.engine import VenueEngine
from backend.app.venue.batch import Done
from backend.app.venue.commands import CancelOrder, Command, MoveFunds, NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT
from backend.app.venue.orders import OrderType, Side
from backend.tests.support.venue import SPOT_NUMBERS_FROM, engine_on, led, running

CLIENTS = 40
SNAPSHOT_AFTER = 150
ANSWERS_BEFORE_A_KILL_MAX = 200
ORDERS_OF_EACH_AT_LAST = 200
DELAY_SECONDS_MAX = 0.03
LIFE_SECONDS_MAX = 240.0


async def _live(url: str, life: int, pair: int) -> None:
    numbers = itertools.count(1)
    database = Database(url, DatabaseSettings(_env_file=None))
    cards = engine_on(database, 0, SNAPSHOT_AFTER)
    spot = engine_on(database, 1, SNAPSHOT_AFTER)
    async with running(cards), running(spot):
        await led(cards)
        await led(spot)
        await asyncio.gather(
            *(
                _card_client(cards, f"life{life}", account, numbers)
                for account in range(1, CLIENTS)
            ),
            *(
                _client(spot, f"life{life}", account, pair, numbers)
                for account in range(1, CLIENTS)
            ),
        )


async def _card_client(
    engine: VenueEngine, life: str, account: int, numbers: "itertools.count[int]"
) -> None:
    for number in numbers:
        side = Side.BUY if number % 2 else Side.SELL
        card = 1 + number // 2 % 4
        await _ask(engine, [NewOrder(account, card, side, 250, 1, f"{life}-{number}")])


async def _client(
    engine: VenueEngine, life: str, account: int, pair: int, numbers: "itertools.count[int]"
) -> None:
    funds = [
        MoveFunds(account, asset, 100 * ATOMS_PER_UNIT, f"first-{asset}")
        for asset in ("BTC", "USDT")
    ]
    await _ask(engine, funds)
    for number in numbers:
        name, side = f"{life}-{number}", Side.BUY if number % 2 else Side.SELL
        order = NewOrder(account, pair, side, 9_990 + number % 20, 1 + number % 900, name)
        if not number % 7:
            order = order._replace(price=None, type=OrderType.MARKET)
        [answer] = await _ask(engine, [order])
        if isinstance(answer, Known) and not number % 3:
            await _ask(engine, [CancelOrder(account, pair, answer.id)])
        if not number % 11:
            await _ask(engine, [MoveFunds(account, "USDT", ATOMS_PER_UNIT, name)])


async def _ask(engine: VenueEngine, commands: list[Command]) -> list[object]:
    answers = await engine.carry_out(commands)
    for command, answer in zip(commands, answers, strict=True):
        if isinstance(answer, Known):
            said = f"order {answer.order.account_id} {answer.order.client_order_id} {answer.id}"
        elif isinstance(command, MoveFunds) and isinstance(answer, Done):
            said = f"transfer {command.account_id} {command.reference} {answer.number}"
        else:
            assert isinstance(answer, Done | StrongroomError)
            continue
        os.write(1, f"{said}\n".encode())
    return list(answers)


def _killed(
    url: str, life: int, pair: int, chance: random.Random, enough: Callable[[list[bytes]], bool]
) -> list[bytes]:
    """Live once, be killed a moment after enough answers, and return what was answered."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_end)
        os.dup2(write_end, 1)
        asyncio.run(_live(url, life, pair))
        os._exit(1)
    os.close(write_end)
    said, ends_at = b"", time.monotonic() + LIFE_SECONDS_MAX
    while not enough(_answers(said)):
        assert time.monotonic() < ends_at, "too little was answered"
        if select.select([read_end], [], [], 1.0)[0]:
            more = os.read(read_end, 1 << 16)
            assert more, "the engine ended by itself"
            said += more
    time.sleep(chance.uniform(0, DELAY_SECONDS_MAX))
    os.kill(child, signal.SIGKILL)
    while more := os.read(read_end, 1 << 16):
        said += more
    os.waitpid(child, 0)
    os.close(read_end)
    return _answers(said)


def _answers(said: bytes) -> list[bytes]:
    """Return the whole lines: one that was cut off was read by nobody, and a log is no answer."""
    whole = said[: said.rfind(b"\n") + 1].splitlines(keepends=True)
    return [line for line in whole if line.startswith((b"order ", b"transfer "))]


def _both_worked(answers: list[bytes]) -> bool:
    numbers = [int(line.split()[-1]) for line in answers if line.startswith(b"order ")]
    of_spot = sum(number >= SPOT_NUMBERS_FROM for number in numbers)
    return min(of_spot, len(numbers) - of_spot) >= ORDERS_OF_EACH_AT_LAST


def main() -> None:
    """Kill as often as asked: `LIVES SEED PAIR`, the database in URL."""
    lives, seed, pair = map(int, sys.argv[1:])
    chance = random.Random(seed)
    for life in range(1, lives + 1):
        some = chance.randrange(ANSWERS_BEFORE_A_KILL_MAX)
        enough = _both_worked if life == lives else lambda answers, some=some: len(answers) > some
        os.write(1, b"".join(_killed(os.environ["URL"], life, pair, chance, enough)))


if __name__ == "__main__":
    main()
