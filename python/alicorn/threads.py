"""A worker process with several threads: the main thread reads the links and feeds a pool, whose threads answer.

Signals, links and the scoreboard's heartbeat stay with the main thread. A pool thread that has an answer sends it
together with what other threads have meanwhile laid down, so that no thread waits for another's write.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import traceback
from collections import deque
from queue import SimpleQueue
from time import monotonic
from typing import Callable

from . import scoreboard
from .link import SIGN_OF_LIFE, Link
from .response import Cancelled, Response
from .spec import Spec
from .worker import ALPHA, Worker


class SharedLink(Link):
    """A link that several threads write to."""

    def __init__(self, worker: ThreadedWorker, index: int, sock: socket.socket) -> None:
        super().__init__(worker, index, sock)
        self.out = deque()
        self.push = self.out.append
        self.writing = threading.Lock()
        # Requests that wait for a thread.
        self.queued: set[int] = set()

    def claim(self, ident: int) -> bool:
        """Takes a request out of the queue, to run or to drop it: only one of the two succeeds."""
        try:
            self.queued.remove(ident)
        except KeyError:
            return False
        return True

    def flush(self) -> None:
        """Whoever holds the lock sends for all. The loop's condition is looked at again after the release, so that
        nothing is left that was laid down while the lock was held."""
        out, writing = self.out, self.writing
        while out and writing.acquire(False):
            try:
                parts = []
                while out:
                    parts.append(out.popleft())
                if parts:
                    self._send(b"".join(parts))
            finally:
                writing.release()

    def _send(self, data: bytes) -> None:
        sock = self.sock
        if sock is None:
            return
        try:
            sock.sendall(data)
        except OSError:
            pass  # the main thread finds out when it reads

    def look(self, response: Response) -> None:
        if response.cancelled:
            raise Cancelled

    def begin_stream(self, response: Response) -> None:
        response.event = threading.Event()
        super().begin_stream(response)

    def begin_asking(self, ident: int) -> None:
        """All that run are known anyway."""

    def is_cancelled(self, ident: int) -> bool:
        """The main thread reads."""
        return self.sock is None or ident in self.cancelled

    def end_asking(self, ident: int) -> None:
        """With its turn in its thread."""

    def wait_for_credit(self, response: Response) -> None:
        self.flush()
        while response.granted <= response.sent and not response.cancelled:
            response.event.clear()
            if response.granted <= response.sent and not response.cancelled:
                response.event.wait()
        if response.cancelled:
            raise Cancelled

    def grant(self, ident: int, count: int) -> None:
        super().grant(ident, count)
        self._tell(ident)

    def cancel(self, ident: int) -> None:
        super().cancel(ident)
        self._tell(ident)

    def _tell(self, ident: int) -> None:
        response = self.streams.get(ident)
        if response is not None:
            response.event.set()

    def fall(self) -> None:
        # Under the lock: the descriptor's number must not have a new meaning while a thread writes to it.
        with self.writing:
            super().fall()
        self.queued.clear()


_idle = (0.0, "")


class ThreadedWorker(Worker):
    link_type = SharedLink

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.jobs: SimpleQueue = SimpleQueue()
        self.lock = threading.Lock()
        # Each running request and when it began, oldest first (a dict keeps the order of insertion).
        self.began: dict[int, tuple[float, str]] = {}
        self.told_stuck: set[int] = set()
        self.idents: list[int] = []
        self.accepted = 0
        self.finished = 0  # answered or dropped

    def loop(self) -> None:
        self.begin_serving()
        while True:
            self.doubles[self.slot.at_heartbeat] = monotonic()
            self.wait(SIGN_OF_LIFE)
            if self.settings.max_request_time:
                self._look_for_stuck(monotonic() - self.settings.max_request_time)
            if self.gateway.quitting:
                return
            if self.stop_asked and not self.draining:
                self._drain()
            if self.draining and self.drained():
                return

    def begin_serving(self) -> None:
        """Starts what takes requests beside this loop."""
        for number in range(self.settings.threads):
            thread = threading.Thread(target=self._serve, args=(number,), name=f"alicorn-{number}", daemon=True)
            thread.start()
            self.idents.append(thread.ident)

    def accept(self, link: SharedLink, frame: tuple) -> None:
        link.queued.add(frame[1])
        self.accepted += 1
        self.hand_over(link, frame)

    def hand_over(self, link: SharedLink, frame: tuple) -> None:
        """Gives a request to whatever serves it, without waiting."""
        self.jobs.put((link, frame))

    def drop(self, link: SharedLink, ident: int, answer: Callable[[int], bytes]) -> bool:
        """The pool thread that comes to it finds it no longer in the set."""
        if not link.claim(ident):
            return False
        link.send(answer(ident))
        return True

    def drained(self) -> bool:
        return self.finished == self.accepted and super().drained()

    def _serve(self, number: int) -> None:
        """A pool thread."""
        take = self.jobs.get
        while True:
            link, frame = take()
            self.serve_one(number, link, frame)

    def serve_one(self, number: int, link: SharedLink, frame: tuple) -> None:
        """`number` tells the requests apart that run at the same time."""
        _, ident, flags, text, body = frame
        link.running.add(ident)
        if link.claim(ident):
            self._begin(number, link.index, ident, text)
            self.gateway.serve(link, ident, flags, text, body)
            self._end(number)
            link.flush()
            self.errors.flush()
        link.running.discard(ident)
        link.cancelled.discard(ident)
        with self.lock:
            self.finished += 1
        self.check_limit()
        if self.draining:
            self.wake()

    def _begin(self, number: int, index: int, ident: int, text: str) -> None:
        """The scoreboard shows the latest that has begun, by its id: after a crash those behind it go elsewhere."""
        now = monotonic()
        begun, at = self.board.uints, self.slot.at_begun + index
        with self.lock:
            last = begun[at]
            if last == 0 or (ident - last) & 0xFFFFFFFF < 0x80000000:
                begun[at] = ident
            if not self.began:
                self.doubles[self.slot.at_started] = now
            self.began[number] = (now, text)

    def _end(self, number: int) -> None:
        now = monotonic()
        with self.lock:
            began, _ = self.began.pop(number)
            self.doubles[self.slot.at_started] = next(iter(self.began.values()), _idle)[0]
            self.service += (now - began - self.service) * ALPHA
            self.doubles[self.slot.at_service] = self.service
            self.done += 1
            self.board.uints[self.slot.at_done] = self.done & 0xFFFFFFFF

    # --- max_request_time

    def _look_for_stuck(self, since: float) -> None:
        """Says where requests are stuck that began before, and asks for a successor: that is what ends them."""
        with self.lock:
            stuck = [(number, text) for number, (began, text) in self.began.items() if began < since]
        # A thread's number is used again: it has moved on in between.
        self.told_stuck.intersection_update(number for number, _ in stuck)
        for number, text in stuck:
            if number in self.told_stuck:
                continue
            self.told_stuck.add(number)
            fields = text.split("\n")
            method, target = (fields[fields.index(name) + 1] for name in ("REQUEST_METHOD", "RAW_URI"))
            self.log.critical(
                f"REQUEST STUCK (pid:{os.getpid()}): {method} {target} runs for more than "
                f"{self.settings.max_request_time:g} s (max_request_time); the worker is to be replaced\n"
                + self.stack_of(number)
            )
            self.report({"type": "recycle", "cause": scoreboard.TIMEOUT})

    def stack_of(self, number: int) -> str:
        """Where the request is."""
        frame = sys._current_frames().get(self.idents[number])
        return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip("\n")
