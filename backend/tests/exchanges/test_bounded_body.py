"""A body is counted on the wire and unpacked, and a damaged one is no body."""

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from backend.app.exchanges.bounded_body import BodyTooLarge, BodyUndecodable, read_bounded

_TEXT = b'{"code":"0"}' * 50


async def _chunks(body: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


# Without the moment of packing, so that every process collects the same cases.
_GZIPPED = gzip.compress(_TEXT, mtime=0)


def _bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", _TEXT),
        ("identity", _TEXT),
        ("gzip", _GZIPPED),
        (" GZip ", _GZIPPED),
        ("deflate", zlib.compress(_TEXT)),
        ("deflate", _bare_deflate(_TEXT)),
    ],
)
async def test_a_body_within_the_limit_is_read_whole(encoding: str, packed: bytes) -> None:
    assert await read_bounded(_chunks(packed), encoding, len(_TEXT)) == _TEXT


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("", _TEXT), ("gzip", _GZIPPED), ("deflate", zlib.compress(_TEXT))],
)
async def test_one_byte_over_the_limit_is_too_large(encoding: str, packed: bytes) -> None:
    with pytest.raises(BodyTooLarge):
        await read_bounded(_chunks(packed), encoding, len(_TEXT) - 1)


async def test_a_bomb_in_one_chunk_never_unfolds_beyond_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))

    with pytest.raises(BodyTooLarge):
        await read_bounded(_chunks(bomb, size=len(bomb)), "gzip", 1000)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("br", b"anything"),
        ("gzip, gzip", gzip.compress(_GZIPPED, mtime=0)),
        ("gzip", _TEXT),
        ("gzip", _GZIPPED[:-4]),
        ("gzip", _GZIPPED + b"more"),
        ("deflate", b"\xff\xff\xff\xff"),
    ],
)
async def test_what_was_not_offered_or_is_damaged_is_undecodable(
    encoding: str, packed: bytes
) -> None:
    with pytest.raises(BodyUndecodable):
        await read_bounded(_chunks(packed), encoding, 10_000)
