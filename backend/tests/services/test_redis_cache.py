"""Redis behind its stamps: what it may answer, and how long it may keep a request."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from backend.app.errors import ConfigurationError
from backend.app.services.redis_cache import OPERATION_SECONDS_MAX, RedisCache
from backend.tests.support.at_once import AtOnce
from backend.tests.support.valkey import Valkey, eventually

MARK_KEY = b"m" * 32
TTL_SECONDS = 60.0
# A busy machine takes its time: what is not answered within the house's own bound is a miss.
PATIENCE_SECONDS = 60.0


def _ignore(*_: str) -> None:
    return None


@asynccontextmanager
async def joined(url: str, mark_key: bytes = MARK_KEY) -> AsyncIterator[RedisCache]:
    cache = RedisCache(
        url,
        mark_key,
        operation_seconds_max=PATIENCE_SECONDS,
        answer_seconds_max=PATIENCE_SECONDS,
    )
    await cache.start(_ignore, _ignore)
    try:
        await eventually(lambda: cache.is_used)
        yield cache
    finally:
        await cache.stop()


@contextmanager
def hung(valkey: Valkey, cache: RedisCache) -> Iterator[None]:
    """Let the server answer nothing until the block ends, and the cache wait for a moment only."""
    cache._operation_seconds_max = 0.05
    valkey.hang()
    try:
        yield
    finally:
        valkey.resume()
        cache._operation_seconds_max = PATIENCE_SECONDS


@pytest.fixture
async def cache(valkey: Valkey) -> AsyncIterator[RedisCache]:
    async with joined(valkey.url) as cache:
        yield cache


async def remember(cache: RedisCache, key: str, value: bytes) -> None:
    found, stamp = await cache.get(key, TTL_SECONDS)
    assert found is None
    assert stamp is not None
    await cache.put(key, value, TTL_SECONDS, stamp)


async def read(cache: RedisCache, key: str) -> bytes | None:
    found, stamp = await cache.get(key, TTL_SECONDS)
    assert stamp is not None  # It was asked, and answered.
    return found


async def test_a_value_comes_back_byte_for_byte(cache: RedisCache) -> None:
    value = bytes(range(256))

    await remember(cache, "list:1", value)

    assert await read(cache, "list:1") == value


async def test_a_value_and_its_tag_expire(valkey: Valkey, cache: RedisCache) -> None:
    await remember(cache, "list:1", b"one")

    assert 0 < valkey.command("PTTL", "strongroom:list:1") <= TTL_SECONDS * 1000
    assert 0 < valkey.command("PTTL", "strongroom:list:1#tag") <= TTL_SECONDS * 1000


async def test_a_slow_reader_cannot_put_back_what_a_write_has_dropped(cache: RedisCache) -> None:
    _, stamp_before = await cache.get("list:1", TTL_SECONDS)
    assert stamp_before is not None

    await cache.forget("list:1", TTL_SECONDS)
    await cache.put("list:1", b"old", TTL_SECONDS, stamp_before)

    assert await read(cache, "list:1") is None


async def test_a_slow_reader_cannot_put_anything_into_an_emptied_server(
    valkey: Valkey, cache: RedisCache
) -> None:
    _, stamp_before = await cache.get("list:1", TTL_SECONDS)
    assert stamp_before is not None

    valkey.flush()
    await cache.put("list:1", b"old", TTL_SECONDS, stamp_before)

    assert await read(cache, "list:1") is None


async def test_what_one_process_forgets_is_forgotten_for_the_other(
    valkey: Valkey, cache: RedisCache
) -> None:
    async with joined(valkey.url) as other:
        await remember(cache, "list:1", b"one")
        assert await read(other, "list:1") == b"one"

        await other.forget("list:1", TTL_SECONDS)

        assert await read(cache, "list:1") is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda marked: b"[]",
        lambda marked: b"",
        lambda marked: marked[:10],
        lambda marked: marked[:-1],
        lambda marked: marked + b" ",
        lambda marked: marked[:16] + b'[{"id":7}]',
        lambda marked: bytes(16) + marked[16:],
    ],
)
async def test_a_value_somebody_else_wrote_is_a_miss(
    valkey: Valkey, cache: RedisCache, spoil: Callable[[bytes], bytes]
) -> None:
    await remember(cache, "list:1", b"a list of one")

    valkey.command("SET", "strongroom:list:1", spoil(valkey.command("GET", "strongroom:list:1")))

    assert await read(cache, "list:1") is None


async def test_a_value_moved_to_another_key_is_a_miss(valkey: Valkey, cache: RedisCache) -> None:
    await remember(cache, "list:1", b"what user 1 has")
    await remember(cache, "list:2", b"what user 2 has")

    for suffix in ("", "#tag"):
        valkey.command(
            "COPY", f"strongroom:list:1{suffix}", f"strongroom:list:2{suffix}", "REPLACE"
        )

    assert await read(cache, "list:2") is None


async def test_a_value_of_another_type_is_a_miss(valkey: Valkey, cache: RedisCache) -> None:
    await remember(cache, "list:1", b"one")
    valkey.command("DEL", "strongroom:list:1")
    valkey.command("RPUSH", "strongroom:list:1", "one")

    assert await read(cache, "list:1") is None
    assert cache.is_used


async def test_a_value_marked_by_another_installation_is_a_miss(
    valkey: Valkey, cache: RedisCache
) -> None:
    await remember(cache, "list:1", b"one")

    async with joined(valkey.url, mark_key=b"x" * 32) as stranger:
        found, stamp = await stranger.get("list:1", TTL_SECONDS)

    assert found is None
    assert stamp is not None


async def test_whoever_joins_begins_a_new_epoch(valkey: Valkey, cache: RedisCache) -> None:
    await remember(cache, "list:1", b"what a killed process had no time to forget")

    async with joined(valkey.url):
        assert await read(cache, "list:1") is None


async def test_a_server_that_restarts_with_what_was_on_its_disk_is_not_believed(
    tmp_path: Path,
) -> None:
    with Valkey(tmp_path, keeps_snapshots=True) as valkey:
        async with joined(valkey.url) as cache:
            await remember(cache, "list:1", b"old")
            valkey.command("SAVE")
            await cache.forget("list:1", TTL_SECONDS)
            valkey.kill()
            valkey.start()
            assert valkey.command("EXISTS", "strongroom:list:1") == 1

            await eventually(lambda: not cache.is_used)
            await eventually(lambda: cache.is_used)

            assert await read(cache, "list:1") is None


async def test_what_could_not_be_forgotten_is_forgotten_before_redis_is_used_again(
    valkey: Valkey, cache: RedisCache
) -> None:
    async with joined(valkey.url) as other:
        await remember(cache, "list:1", b"old")
        with hung(valkey, cache):
            await cache.forget("list:1", TTL_SECONDS)
            assert not cache.is_used

        await eventually(lambda: cache.is_used)

        assert await read(cache, "list:1") is None
        await eventually(lambda: other.is_used)
        assert await read(other, "list:1") is None


async def test_a_forget_given_up_half_way_counts_as_failed(
    valkey: Valkey, cache: RedisCache
) -> None:
    await remember(cache, "list:1", b"old")
    with hung(valkey, cache):
        forgetting = asyncio.create_task(cache.forget("list:1", TTL_SECONDS))
        await asyncio.sleep(0)
        forgetting.cancel()
        await asyncio.wait({forgetting})

        assert not cache.is_used

    await eventually(lambda: cache.is_used)
    assert await read(cache, "list:1") is None


async def test_a_hung_server_costs_one_short_wait_and_then_nothing(
    valkey: Valkey, cache: RedisCache
) -> None:
    assert RedisCache(valkey.url, MARK_KEY)._operation_seconds_max == OPERATION_SECONDS_MAX <= 0.1
    await remember(cache, "list:1", b"one")
    with hung(valkey, cache):
        assert await cache.get("list:1", TTL_SECONDS) == (None, None)
        for _ in range(100):
            assert AtOnce(cache).get("list:1", TTL_SECONDS) == (None, None)

    await eventually(lambda: cache.is_used)
    assert await read(cache, "list:1") == b"one"


async def test_a_late_answer_never_answers_another_question(
    valkey: Valkey, cache: RedisCache
) -> None:
    for number in range(20):
        await remember(cache, f"list:{number}", b"%d" % number)

    async def ask_all() -> None:
        await asyncio.gather(*(cache.get(f"list:{number}", TTL_SECONDS) for number in range(20)))

    # The first time they open connections, the second time they ask on them.
    await ask_all()
    with hung(valkey, cache):
        await ask_all()
    await eventually(lambda: cache.is_used)

    found = [await read(cache, f"list:{number}") for number in reversed(range(20))]

    assert found == [b"%d" % number for number in reversed(range(20))]


async def test_a_killed_server_is_used_again_once_it_is_back(
    valkey: Valkey, cache: RedisCache
) -> None:
    valkey.kill()
    await eventually(lambda: not cache.is_used)
    assert await cache.get("list:1", TTL_SECONDS) == (None, None)

    valkey.start()
    await eventually(lambda: cache.is_used)

    await remember(cache, "list:1", b"one")
    assert await read(cache, "list:1") == b"one"


async def test_a_server_that_accepts_no_writes_is_not_used(
    valkey: Valkey, cache: RedisCache
) -> None:
    valkey.command("CONFIG", "SET", "maxmemory", "1")
    await cache.get("list:1", TTL_SECONDS)

    assert not cache.is_used

    valkey.command("CONFIG", "SET", "maxmemory", "0")
    await eventually(lambda: cache.is_used)


async def test_a_garbled_notice_is_survived(valkey: Valkey, cache: RedisCache) -> None:
    valkey.command("PUBLISH", "strongroom:#forgotten", b"\xff\xfe")

    await eventually(lambda: not cache.is_used)
    await eventually(lambda: cache.is_used)


async def test_nothing_is_left_running_after_a_stop(valkey: Valkey) -> None:
    tasks_before = asyncio.all_tasks()

    async with joined(valkey.url) as cache:
        await remember(cache, "list:1", b"one")

    assert asyncio.all_tasks() == tasks_before
    assert valkey.command("CLIENT", "LIST").count(b"\n") <= 1


async def test_it_starts_and_stops_without_a_server() -> None:
    cache = RedisCache("redis://127.0.0.1:1/0", MARK_KEY)
    await cache.start(_ignore, _ignore)

    assert await cache.get("list:1", TTL_SECONDS) == (None, None)

    await cache.stop()


async def test_a_password_with_every_kind_of_character_works(tmp_path: Path) -> None:
    with Valkey(tmp_path, password="p:a/s?s#w@o%r d") as valkey:
        async with joined(valkey.url) as cache:
            await remember(cache, "list:1", b"one")


async def test_a_unix_socket_works(tmp_path: Path) -> None:
    with Valkey(tmp_path, on_unix_socket=True) as valkey:
        async with joined(valkey.url) as cache:
            await remember(cache, "list:1", b"one")


async def test_tls_works_with_a_certificate_that_is_trusted_and_only_then(
    valkey: Valkey, tmp_path: Path
) -> None:
    async with behind_tls(valkey, tmp_path) as (port, certificate):
        async with joined(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}") as cache:
            await remember(cache, "list:1", b"one")

        with capture_logs() as logs:
            distrusting = RedisCache(f"rediss://localhost:{port}/0", MARK_KEY)
            await distrusting.start(_ignore, _ignore)
            await eventually(lambda: len(logs) > 0)
            await distrusting.stop()

    assert [line["event"] for line in logs] == ["cache_away"]


async def test_a_wrong_password_is_no_cache_and_is_not_logged(tmp_path: Path) -> None:
    with Valkey(tmp_path, password="right-horse") as valkey, capture_logs() as logs:
        cache = RedisCache(valkey.url.replace("right-horse", "wrong-horse"), MARK_KEY)
        await cache.start(_ignore, _ignore)
        await eventually(lambda: len(logs) > 0)
        await cache.stop()

    assert [line["event"] for line in logs] == ["cache_away"]
    assert "wrong-horse" not in str(logs)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://127.0.0.1:6379",
        "redis://",
        "redis:///0",
        "redis://:hunter2@host:port",
        "redis://:hunter2@host:99999",
        "redis://:hunter2@host/name",
        "redis://:hunter2@host?unheard_of=1",
        "redis://:hunter2@host?socket_timeout=soon",
        "unix://",
    ],
)
def test_an_address_that_is_none_refuses_the_start_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        RedisCache(url, MARK_KEY)

    assert "REDIS_URL" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@asynccontextmanager
async def behind_tls(valkey: Valkey, directory: Path) -> AsyncIterator[tuple[int, Path]]:
    """Put TLS in front of a Valkey that was built without it."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    write_certificate(certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", valkey.port)
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], certificate


def write_certificate(certificate_file: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
