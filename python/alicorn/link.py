"""The app worker's end of a connection to a web worker."""

from __future__ import annotations

import os
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from . import protocol
from .response import Cancelled, Response

if TYPE_CHECKING:
    from .worker import Worker

# While a response waits for its client, the arbiter must not take the worker for stuck: a sign of life so often,
# seconds.
SIGN_OF_LIFE = 1.0


class Link:
    """One connection to a web worker; a new connection is a new Link, so that no answer goes to the wrong one.

    Frames are gathered in `out`; `push` adds one, `flush` sends them.
    """

    def __init__(self, worker: Worker, index: int, sock: socket.socket) -> None:
        self.worker = worker
        self.log = worker.log
        self.index = index
        self.sock: socket.socket | None = sock
        self.decoder = protocol.Decoder()
        self.out: Any = []
        self.push = self.out.append
        # Responses that have begun and not ended, by request.
        self.streams: dict[int, Response] = {}
        # Descriptors of files handed over and not yet opened there, by request.
        self.files: dict[int, int] = {}
        # Requests that run and are asked about, and those of them that were cancelled.
        self.running: set[int] = set()
        self.cancelled: set[int] = set()
        self.last = False
        self.since = monotonic()

    # Used by Response.

    def flush(self) -> None:
        out = self.out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._send(data)

    def _send(self, data: bytes) -> None:
        if self.sock is None:
            return
        try:
            # Blocking on purpose: a web worker always reads. Should it hang, so do we, until `timeout`.
            self.sock.sendall(data)
        except OSError:
            self.worker.lose(self)

    def send(self, data: bytes) -> None:
        self.push(data)
        self.flush()

    def look(self, response: Response) -> None:
        """Has the request been cancelled?"""
        self.worker.receive(self)
        if response.cancelled:
            raise Cancelled

    def wait_for_credit(self, response: Response) -> None:
        self.flush()
        worker = self.worker
        while response.granted <= response.sent and not response.cancelled:
            worker.wait(SIGN_OF_LIFE)
            # It is the client who is slow, so the clock of `timeout` starts again.
            worker.doubles[worker.slot.at_started] = monotonic()
        if response.cancelled:
            raise Cancelled

    def begin_stream(self, response: Response) -> None:
        self.streams[response.ident] = response
        # After the registration: a CANCEL in between is seen by one of the two.
        if self.sock is None or response.ident in self.cancelled:
            response.cancelled = True

    def begin_asking(self, ident: int) -> None:
        """The application may ask from now on whether anybody waits for the response."""
        self.running.add(ident)

    def is_cancelled(self, ident: int) -> bool:
        """Does nobody wait for a request any more? Looks what has arrived."""
        self.worker.receive(self)
        return self.sock is None or ident in self.cancelled

    def end_asking(self, ident: int) -> None:
        self.running.discard(ident)
        self.cancelled.discard(ident)

    def end_stream(self, response: Response) -> None:
        self.streams.pop(response.ident, None)

    def hold_file(self, ident: int, fd: int) -> None:
        self.files[ident] = fd

    # Used by the worker.

    def release_file(self, ident: int) -> None:
        fd = self.files.pop(ident, None)
        if fd is not None:
            os.close(fd)

    def cancel(self, ident: int) -> None:
        """Nobody waits for a request that has begun (or ended)."""
        self.release_file(ident)
        if ident in self.running:
            self.cancelled.add(ident)
        response = self.streams.get(ident)
        if response is not None:
            response.cancelled = True

    def grant(self, ident: int, count: int) -> None:
        response = self.streams.get(ident)
        if response is not None:
            response.granted += count

    def fall(self) -> None:
        """The connection is gone, and with it all that was under way on it."""
        if self.sock is not None:
            self.sock.close()
        self.sock = None
        self.out.clear()
        for ident in list(self.files):
            self.release_file(ident)
        for response in list(self.streams.values()):
            self.cancel(response.ident)
