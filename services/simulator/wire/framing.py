"""Frames: a four-byte big-endian length, then that many bytes of NUL-terminated fields."""

import re
import struct
from collections.abc import Iterable

from services.simulator.wire import AMBIGUOUS_VERSION, MAXIMUM_VERSION, MINIMUM_VERSION

LENGTH = struct.Struct(">I")
MAXIMUM_REQUEST_BYTES = 1 << 20
"""Largest request accepted; a real request is under 2 kB, so a longer length prefix is not the TWS API."""

HANDSHAKE_PREFIX = b"API\0"
_VERSION_RANGE = re.compile(rb"v(\d{1,5})(?:\.\.(\d{1,5}))?(?: .*)?")


class ProtocolError(Exception):
    """Bytes that are not the TWS API; the connection cannot be read any further."""


class FrameReader:
    """Cuts a byte stream, however fragmented, into frame payloads."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def handshake(self) -> bytes | None:
        """Return the client's version range once it is complete, else None.

        Raises ProtocolError when the stream does not start as an API client starts.
        """
        prefix = bytes(self._buffer[: len(HANDSHAKE_PREFIX)])
        if not HANDSHAKE_PREFIX.startswith(prefix):
            raise ProtocolError(f"connection began with {prefix!r}; a TWS API client begins with {HANDSHAKE_PREFIX!r}")
        if len(prefix) < len(HANDSHAKE_PREFIX):
            return None
        return self._cut(len(HANDSHAKE_PREFIX))

    def next(self) -> bytes | None:
        """Return the next complete payload, or None when more bytes are needed.

        Raises ProtocolError for a length prefix above MAXIMUM_REQUEST_BYTES.
        """
        return self._cut(0)

    def _cut(self, offset: int) -> bytes | None:
        start = offset + LENGTH.size
        if len(self._buffer) < start:
            return None
        (length,) = LENGTH.unpack_from(self._buffer, offset)
        if length > MAXIMUM_REQUEST_BYTES:
            raise ProtocolError(f"frame of {length} bytes announced; at most {MAXIMUM_REQUEST_BYTES} are accepted")
        if len(self._buffer) < start + length:
            return None
        payload = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return payload


def negotiate(version_range: bytes) -> int:
    """Return the protocol version to speak: the lower of both maxima.

    `version_range` is `v<min>..<max>`, optionally followed by a space and connect options.
    Raises ProtocolError when it cannot be read or no version is common.
    """
    match = _VERSION_RANGE.fullmatch(version_range)
    if match is None:
        raise ProtocolError(f"version range {version_range[:40]!r} is not v<min>..<max>")
    lowest, highest = int(match[1]), int(match[2] or match[1])
    version = min(highest, MAXIMUM_VERSION)
    if version == AMBIGUOUS_VERSION:
        version -= 1
    if version < max(lowest, MINIMUM_VERSION):
        raise ProtocolError(
            f"client offers versions {lowest} to {highest}; this server speaks {MINIMUM_VERSION} to {MAXIMUM_VERSION}"
        )
    return version


def split_fields(payload: bytes) -> list[str]:
    """Return the text fields of a payload. Raises ProtocolError unless it is NUL-terminated UTF-8."""
    if not payload.endswith(b"\0"):
        raise ProtocolError("the last field of a request is not NUL-terminated")
    try:
        return payload[:-1].decode().split("\0")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"a request is not UTF-8: {error}") from error


def frame(fields: Iterable[str]) -> bytes:
    """Return one frame. Text outside ASCII is sent as \\uXXXX escapes, as TWS does since version 153."""
    text = "\0".join(fields) + "\0"
    payload = text.encode("ascii", "backslashreplace") if text.isascii() else _escape(text)
    return LENGTH.pack(len(payload)) + payload


def _escape(text: str) -> bytes:
    units = text.encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes).encode("ascii")
