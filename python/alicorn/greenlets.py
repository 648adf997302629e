"""A worker whose requests run in greenlets of gevent: as many at once as `worker_connections` says, in one thread."""

from __future__ import annotations

from time import monotonic
from typing import Any

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.hub import get_hub

from .drop_in_worker import DropIn
from .link import SIGN_OF_LIFE
from .threads import SharedLink, ThreadedWorker


def patch(face: Any) -> None:
    """Before the application is imported; the engine itself keeps what it needs of the unpatched library."""
    face.patch()


class _Epoll:
    """An epoll set on which greenlets wait without holding up each other. Gevent takes the original out of `select`."""

    def __init__(self) -> None:
        self._set = monkey.get_original("select", "epoll")()
        self.register = self._set.register
        self.unregister = self._set.unregister

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        found = self._set.poll(0)
        if found or timeout == 0:
            gevent.sleep(0)
            return found
        hub = get_hub()
        watcher = hub.loop.io(self._set.fileno(), 1)
        try:
            with gevent.Timeout(timeout, False):
                hub.wait(watcher)
        finally:
            watcher.close()
        return self._set.poll(0)


class GreenletEngine(DropIn, ThreadedWorker):
    """Reads the links in the main greenlet, and gives each request one of its own."""

    link_type = SharedLink

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._changed = Event()

    def _make_epoll(self) -> _Epoll:
        return _Epoll()

    def loop(self) -> None:
        while True:
            self.doubles[self.slot.at_heartbeat] = monotonic()
            self.wait(SIGN_OF_LIFE)
            if self.gateway.quitting:
                return
            if self.stop_asked and not self.draining:
                self._drain()
            if self.draining and self.drained():
                return

    def accept(self, link: SharedLink, frame: tuple) -> None:
        link.queued.add(frame[1])
        self.accepted += 1
        gevent.spawn(self.serve_one, self.accepted, link, frame)
