"""What `strongroom venue` does."""

from functools import partial
from pathlib import Path
from typing import Final

from backend.app.commands.key_operations import command_settings
from backend.app.commands.progress import passing_progress
from backend.app.commands.venue_file import made_lines
from backend.app.config import home_directory
from backend.app.database import Database
from backend.app.errors import ConfigurationError
from backend.app.launch import reachable_database
from backend.app.services.card_service import CARD_SHARD
from backend.app.services.venue.replay import Replayed
from backend.app.services.venue.replay import replay as replay_shard
from backend.app.services.venue.seeding import Seeded
from backend.app.services.venue.seeding import seed as seed_instruments
from backend.app.services.venue.spot_markets import SPOT_SHARD

_MARKETS: Final = {CARD_SHARD: "cards", SPOT_SHARD: "spot"}


async def replay(*, verify: bool) -> int:
    """Print what the journals say; 1 if the tables are to be compared and differ."""
    home = home_directory()
    settings = command_settings(home)
    found: dict[str, Replayed] = {}
    async with reachable_database(settings, home) as url:
        database = Database(url, settings.database)
        try:
            with passing_progress() as bar:
                for shard, market in _MARKETS.items():
                    task = bar.add_task(f"commands of {market}", total=None)
                    found[market] = await replay_shard(database, shard, partial(bar.advance, task))
        finally:
            await database.close()
    for market, each in found.items():
        _say(f"{market}: {_told(each)}")
        if verify:
            difference = each.difference
            _say(f"DIFFERENT: {difference}" if difference else "The tables say the same.")
    return 1 if verify and any(each.difference for each in found.values()) else 0


async def seed(*, opens: bool) -> int:
    """Put back what is missing of the cards and pairs; 1 if one of them is not as it belongs."""
    home = home_directory()
    settings = command_settings(home)
    async with reachable_database(settings, home) as url:
        database = Database(url, settings.database)
        try:
            seeded = await seed_instruments(database, opens=opens)
        finally:
            await database.close()
    _say(_seeding_told(seeded))
    return 1 if seeded.refused else 0


async def generate(orders: int, seed: int, out: Path) -> int:
    """Write the file."""
    try:
        with out.open("w", encoding="ascii") as file, passing_progress() as bar:
            for lines in bar.track(made_lines(orders, seed), description="10,000 orders"):
                file.write(lines)
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from None
    _say(f"{orders} orders in {out}")
    return 0


def _told(found: Replayed) -> str:
    return (
        f"{found.orders} orders, {found.trades} trades, {found.open_orders} open,"
        f" {found.batches} batches\ndigest {found.digest}"
    )


def _seeding_told(seeded: Seeded) -> str:
    said = [
        f"{what}: {', '.join(symbols)}"
        for what, symbols in (
            ("added", seeded.added),
            ("opened", seeded.opened),
            ("there already", seeded.there),
            ("halted (--open ends it)", seeded.halted),
        )
        if symbols
    ]
    if seeded.added:
        said.append("What is running trades what was added when it starts again.")
    return "\n".join([*said, *seeded.refused])


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the verb's result
