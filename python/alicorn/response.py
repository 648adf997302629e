"""One WSGI response on its way out: start_response, write, and how much of the body may leave when.

Knows no socket: a `Link` (link.py, threads.py) takes the bytes of frames and hands out credit.
"""

from __future__ import annotations

from typing import Any, Callable

from . import protocol
from .heads import cached_head, encode_fields

# Above this, a body that is known at once is sent in blocks all the same: a frame is held in memory as a whole.
WHOLE_BYTES = 262_144
# Of one BODY frame. Smaller than the credit, so that sending and granting overlap.
BLOCK_BYTES = 65_536

NO_BODY = (204, 304)


class Cancelled(BaseException):
    """Nobody waits for the response any more. Not an Exception, so that the application's own `except` lets it pass."""


# Where a response stands. NEW: nothing from the application yet; STARTED: start_response was called; STREAMING:
# HEAD has left; COMPLETE: all has left that ever will (or the response was given up).
NEW, STARTED, STREAMING, COMPLETE = range(4)


class Response:
    """One response on its way out. Given to the link while it streams, so that credit and cancellation find it."""

    __slots__ = (
        "cancelled", "event", "excess", "granted", "head", "ident", "is_head", "length", "link", "phase", "sent",
        "status",
    )  # fmt: skip

    def __init__(self, link: Any, ident: int, is_head: bool) -> None:
        self.link = link
        self.ident = ident
        self.is_head = is_head
        self.phase = NEW
        self.excess = False
        # The other attributes are set when they come to have a meaning: most responses are over before.

    # What the application calls.

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """start_response."""
        phase = self.phase
        if exc_info is not None:
            try:
                if phase >= STREAMING:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # PEP 3333: no reference cycle through the traceback
        elif phase != NEW:
            raise AssertionError("start_response was called a second time without exc_info")
        self.status, self.head, self.length = cached_head(status, headers)
        self.phase = STARTED
        return self.write

    def write(self, block: bytes) -> None:
        """What start_response returns: PEP 3333's way out for applications that cannot be iterated."""
        if not isinstance(block, bytes):
            raise TypeError(f"write() takes bytes, not {type(block).__name__}")
        if self.phase == STARTED:
            self.begin()
        self.send(block)

    def early_hints(self, headers: list[tuple[str, str]]) -> None:
        """`wsgi.early_hints`: fields of a 103 for the client, at once; too late, once the response has begun."""
        if self.phase >= STREAMING:
            return
        fields = encode_fields(headers)
        if fields:
            self.link.send(protocol.hints(self.ident, fields))

    # What the gateway calls.

    def whole(self, body: bytes) -> None:
        """The response in one frame, which leaves with the batch."""
        head, length, size = self.head, self.length, len(body)
        if length is None:
            if self.status in NO_BODY:
                body = b""
            elif size or not self.is_head:  # to HEAD an application may well give no body, though GET has one
                head += b"\nContent-Length\n%d" % size
        elif length != size:
            body = self._fit(body, length)
        if self.is_head or self.status in NO_BODY:
            body = b""
        self.phase = COMPLETE
        self.link.push(protocol.response(self.ident, self.status, head, body))

    def _fit(self, body: bytes, length: int) -> bytes:
        """The body has not the length that the application has announced."""
        if self.is_head or self.status in NO_BODY:
            return b""
        if len(body) < length:
            raise LengthError(f"Content-Length is {length}, but the body has {len(body)} bytes")
        self.link.log.error(f"Content-Length is {length}, but the body has {len(body)} bytes: cut")
        return body[:length]

    def begin(self) -> None:
        """HEAD, held back until the first block so that start_response may still be called again (PEP 3333)."""
        if self.is_head or self.status in NO_BODY:
            self.whole(b"")
            return
        self.sent = 0
        self.granted = protocol.INITIAL_CREDIT
        self.cancelled = False
        self.phase = STREAMING
        self.link.begin_stream(self)
        self.link.push(protocol.head(self.ident, self.status, self.head))

    def block(self, block: bytes) -> None:
        """One block that the application has yielded; it leaves at once."""
        phase = self.phase
        if phase == STARTED:
            if self.length == len(block) and self.length <= WHOLE_BYTES:
                self.whole(block)
                self.link.flush()
                return
            self.begin()
        elif phase == NEW:
            raise AssertionError("a block of the body before start_response was called")
        self.send(block)

    def send(self, block: bytes) -> None:
        """BODY frames at once, as the credit allows."""
        if self.phase == COMPLETE:
            self._excess(block)
            return
        size = len(block)
        if self.length is not None and self.sent + size > self.length:
            self._excess(block)
            size = self.length - self.sent
            block = block[:size]
        self.link.look(self)
        at = 0
        while at < size:
            room = self.granted - self.sent
            if room <= 0:
                self.link.wait_for_credit(self)
                continue
            n = min(size - at, room, BLOCK_BYTES)
            self.sent += n
            piece = block if n == size else memoryview(block)[at : at + n]
            self.link.send(protocol.body(self.ident, piece))
            at += n

    def _excess(self, block: bytes) -> None:
        """More body than there may be: dropped. Said once, and only where the application has miscounted."""
        if self.excess or not block or self.is_head or self.status in NO_BODY:
            return
        self.excess = True
        self.link.log.error(f"the body is longer than its Content-Length of {self.length}: cut")

    def finish(self) -> None:
        """The application has no more blocks."""
        phase = self.phase
        if phase == NEW:
            raise AssertionError("the application did not call start_response")
        if phase == STARTED:
            self.whole(b"")
        elif phase == STREAMING:
            if self.cancelled:
                raise Cancelled  # the application has swallowed the first one
            if self.length is not None and self.sent < self.length:
                raise LengthError(f"Content-Length is {self.length}, but the body ended after {self.sent} bytes")
            self.complete(protocol.end(self.ident))
        self.link.flush()

    def complete(self, last: bytes) -> None:
        """The last frame of a stream."""
        self.phase = COMPLETE
        self.link.end_stream(self)
        self.link.push(last)


class LengthError(Exception):
    """The body is shorter than the Content-Length that the application gave."""
