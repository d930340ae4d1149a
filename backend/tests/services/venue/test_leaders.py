"""Who leads is what the leaders say themselves, and nobody else can say it."""

from collections.abc import AsyncIterator

import pytest

from backend.app.services.keyed_hash import KeyedHash
from backend.app.services.venue.leaders import VenueLeaders
from backend.app.services.venue.seal import Seal
from backend.app.services.venue.streams import VenueStreams
from backend.tests.support.valkey import Valkey
from backend.tests.support.venue_post import SECRET

SEAL = Seal(KeyedHash(SECRET, "venue-seal"))
SECONDS_MAX = 60.0


@pytest.fixture
async def streams(valkey: Valkey) -> AsyncIterator[VenueStreams]:
    streams = VenueStreams(valkey.url, SECONDS_MAX)
    yield streams
    await streams.close()


async def kept(valkey: Valkey, leaders: VenueLeaders, shard: int) -> int:
    """Say who leads, for longer than the few seconds it is good for; return these."""
    lasts_ms = 0
    # Said again where the machine slept until it was over.
    while lasts_ms <= 0 or not valkey.command("PERSIST", f"strongroom:venue:leader:{shard}"):
        await leaders.renew([shard])
        lasts_ms = int(valkey.command("PTTL", f"strongroom:venue:leader:{shard}"))
    return lasts_ms


async def test_who_leads_is_known_to_all_for_a_few_seconds(
    valkey: Valkey, streams: VenueStreams
) -> None:
    leading, asking = (VenueLeaders(streams, SEAL, name, (0, 1)) for name in ("one", "other"))

    lasts_ms = await kept(valkey, leading, 1)
    await asking.renew([])

    assert lasts_ms <= 3000
    assert (asking.of(0), asking.of(1), leading.of(1)) == (None, "one", "one")
    assert await asking.known(1) == "one"


async def test_who_says_it_no_more_is_forgotten(valkey: Valkey, streams: VenueStreams) -> None:
    leaders = VenueLeaders(streams, SEAL, "one", (0,))
    await leaders.renew([0])
    valkey.flush()

    await leaders.renew([])

    assert leaders.of(0) is None


async def test_a_leader_of_another_shard_or_a_forged_one_is_none(
    valkey: Valkey, streams: VenueStreams
) -> None:
    leaders = VenueLeaders(streams, SEAL, "one", (0, 1, 2))
    await kept(valkey, leaders, 0)
    valkey.command("COPY", "strongroom:venue:leader:0", "strongroom:venue:leader:1")
    valkey.command("SET", "strongroom:venue:leader:2", "one")

    await leaders.renew([])

    assert [leaders.of(shard) for shard in (0, 1, 2)] == ["one", None, None]


async def test_without_redis_nobody_is_known_to_lead(valkey: Valkey, streams: VenueStreams) -> None:
    leaders = VenueLeaders(streams, SEAL, "one", (0,))
    await leaders.renew([0])
    valkey.kill()

    await leaders.renew([0])

    assert leaders.of(0) is None
