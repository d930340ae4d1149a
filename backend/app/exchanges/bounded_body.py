"""Reading a foreign body that may be anything: counted before and after decompression."""

import zlib
from collections.abc import AsyncIterator
from typing import Final

_GZIP_WINDOW_BITS: Final = 31
_ZLIB_WINDOW_BITS: Final = 15
_RAW_DEFLATE_WINDOW_BITS: Final = -15
_ZLIB_METHOD_DEFLATE: Final = 8

ACCEPT_ENCODING: Final = "gzip, deflate"


class BodyTooLarge(Exception):
    """The body is longer than we read, packed or unpacked."""


class BodyUndecodable(Exception):
    """The body is packed in a way we did not offer, or is damaged."""


async def read_bounded(chunks: AsyncIterator[bytes], encoding: str, bytes_max: int) -> bytes:
    """Return the unpacked body, holding at no time more than a chunk over `bytes_max`.

    Raises:
        BodyTooLarge: more than `bytes_max`, on the wire or unpacked.
        BodyUndecodable: neither plain, gzip nor deflate, or cut short.
    """
    unpacker = _Unpacker(encoding.strip().lower(), bytes_max)
    async for chunk in chunks:
        unpacker.feed(chunk)
    return unpacker.finish()


class _Unpacker:
    def __init__(self, encoding: str, bytes_max: int) -> None:
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise BodyUndecodable
        self._encoding = encoding
        self._bytes_max = bytes_max
        self._packed_bytes = 0
        self._body = bytearray()
        self._stream: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> None:
        self._packed_bytes += len(chunk)
        if self._packed_bytes > self._bytes_max:
            raise BodyTooLarge
        if self._encoding in ("", "identity"):
            self._body += chunk
        elif chunk:
            self._unpack(chunk)

    def _unpack(self, chunk: bytes) -> None:
        if self._stream is None:
            self._stream = zlib.decompressobj(self._window_bits(chunk))
        try:
            # One byte over the limit is enough to know; a bomb never unfolds further.
            room = self._bytes_max - len(self._body) + 1
            self._body += self._stream.decompress(chunk, room)
        except zlib.error:
            raise BodyUndecodable from None
        if len(self._body) > self._bytes_max:
            raise BodyTooLarge
        if self._stream.unused_data:
            raise BodyUndecodable

    def _window_bits(self, chunk: bytes) -> int:
        if self._encoding != "deflate":
            return _GZIP_WINDOW_BITS
        # "deflate" is a zlib stream by RFC 9110 and a bare one from some servers.
        bare = chunk[0] & 0x0F != _ZLIB_METHOD_DEFLATE
        return _RAW_DEFLATE_WINDOW_BITS if bare else _ZLIB_WINDOW_BITS

    def finish(self) -> bytes:
        if self._stream is not None and not self._stream.eof:
            raise BodyUndecodable
        return bytes(self._body)
