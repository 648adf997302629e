"""A worker whose requests run in greenlets of gevent: as many at once as `worker_connections` says, in one thread."""

from __future__ import annotations

import traceback
from typing import Any

import gevent
from gevent import monkey
from gevent.hub import get_hub

from .drop_in_worker import DropIn
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
        self._greenlets: dict[int, gevent.Greenlet] = {}

    def _make_epoll(self) -> _Epoll:
        return _Epoll()

    def begin_serving(self) -> None:
        """Nothing runs ahead: a request's greenlet begins with it."""

    def hand_over(self, link: SharedLink, frame: tuple) -> None:
        number = self.accepted
        greenlet = gevent.spawn(self.serve_one, number, link, frame)
        if self.settings.max_request_time:
            self._greenlets[number] = greenlet
            greenlet.link(lambda _: self._greenlets.pop(number))

    def stack_of(self, number: int) -> str:
        frame = self._greenlets[number].gr_frame
        return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip("\n")
