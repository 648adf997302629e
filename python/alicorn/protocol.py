"""The worker protocol, sans-IO: bytes to frames, frames to bytes (docs/worker-protocol.md).

Its twin is src/app/frames.ts; tests/wire/worker-protocol.txt tests both. No socket, no clock, no log in here.
Frames are plain tuples, because they are made and taken apart once per request.
"""

from __future__ import annotations

import struct

# From the web worker.
REQUEST, CREDIT, CANCEL, OPENED, LAST, POKE, TAKE_BACK = 1, 2, 3, 4, 5, 6, 7
# From the app worker.
HELLO, RESPONSE, HEAD, BODY, END, FILE, ABORT, DRAINING, IDLE, RETURNED = 16, 17, 18, 19, 20, 21, 22, 23, 24, 25
HINTS = 26

# Flag of REQUEST: the body is in a file, whose path the frame carries.
BODY_IN_FILE = 1
# Flag of REQUEST: PATH_INFO is still percent-encoded, because decoded it has a line feed.
PATH_ENCODED = 2
# Bytes of BODY that may be sent before the first CREDIT.
INITIAL_CREDIT = 262_144

HEADER_BYTES = 12
# A body arrives inline only when it is small: a longer frame is not from a web worker.
MAX_PAYLOAD = 256 * 1024 * 1024

_header = struct.Struct("<IBBHI")  # length, type, flags, status, id
_header_and_count = struct.Struct("<IBBHII")  # the same and the u32 that begins many payloads
_hello = struct.Struct("<IBBHI16sII")
_file = struct.Struct("<IBBHIQQ")
_unpack = _header_and_count.unpack_from
_pack_header = _header.pack
_pack_response = _header_and_count.pack
_kinds_without_payload = (CANCEL, OPENED, LAST, POKE, TAKE_BACK)


class FrameError(Exception):
    """The other side does not speak this protocol."""


class Decoder:
    """Cuts a byte stream from a web worker into frames.

    A frame is `(REQUEST, id, flags, environ text, body)`, `(CREDIT, id, n)`, or `(CANCEL | OPENED | LAST | POKE |
    TAKE_BACK, id)`.
    """

    __slots__ = ("_have", "_need", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = 0
        self._need = HEADER_BYTES

    def feed(self, data: bytes) -> list[tuple]:
        if self._parts:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._parts)
            self._parts.clear()
            self._have = 0
        frames: list[tuple] = []
        at, end = 0, len(data)
        while end - at >= HEADER_BYTES:
            # One unpack for header and count; the 12 bytes of a last frame without payload have no count.
            if end - at >= 16:
                length, kind, flags, _, ident, count = _unpack(data, at)
            else:
                length, kind, flags, _, ident = _header.unpack_from(data, at)
                count = 0
            after = at + HEADER_BYTES + length
            if after > end:
                if length > MAX_PAYLOAD:
                    raise FrameError(f"a frame of {length} bytes")
                self._keep(data, at, HEADER_BYTES + length)
                return frames
            if kind == REQUEST:
                middle = at + 16 + count
                if middle > after:
                    raise FrameError("a REQUEST shorter than its environ")
                frames.append((REQUEST, ident, flags, data[at + 16 : middle].decode("latin-1"), data[middle:after]))
            elif kind == CREDIT and length == 4:
                frames.append((CREDIT, ident, count))
            elif kind in _kinds_without_payload:
                frames.append((kind, ident))
            else:
                raise FrameError(f"a frame of unknown type {kind}")
            at = after
        if at < end:
            self._keep(data, at, HEADER_BYTES)
        return frames

    def _keep(self, data: bytes, at: int, need: int) -> None:
        """Sets an incomplete frame aside. Joined only once it is whole, so that a long one costs linear time."""
        rest = data[at:]
        self._parts.append(rest)
        self._have = len(rest)
        self._need = need


def hello(secret: bytes, slot: int, pid: int) -> bytes:
    return _hello.pack(24, HELLO, 0, 0, 0, secret, slot, pid)


def response(ident: int, status: int, head: bytes, body: bytes) -> bytes:
    size = len(head)
    return b"".join((_pack_response(4 + size + len(body), RESPONSE, 0, status, ident, size), head, body))


def head(ident: int, status: int, head: bytes) -> bytes:
    return _pack_header(len(head), HEAD, 0, status, ident) + head


def body(ident: int, block: bytes | memoryview) -> bytes:
    return b"".join((_pack_header(len(block), BODY, 0, 0, ident), block))


def file(ident: int, path: str, offset: int, length: int) -> bytes:
    name = path.encode("latin-1")
    return _file.pack(16 + len(name), FILE, 0, 0, ident, offset, length) + name


def end(ident: int) -> bytes:
    return _pack_header(0, END, 0, 0, ident)


def abort(ident: int) -> bytes:
    return _pack_header(0, ABORT, 0, 0, ident)


def returned(ident: int) -> bytes:
    return _pack_header(0, RETURNED, 0, 0, ident)


def hints(ident: int, fields: bytes) -> bytes:
    return _pack_header(len(fields), HINTS, 0, 0, ident) + fields


draining = _pack_header(0, DRAINING, 0, 0, 0)
idle = _pack_header(0, IDLE, 0, 0, 0)
