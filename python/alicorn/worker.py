"""A worker process with one thread: reads all that is there, runs it, and writes it together.

The batch is where the speed comes from: with many busy clients, one read and one write carry dozens of requests. So
that a slow request holds up little, what is finished leaves before the next one starts once a batch has lasted a
while, and after a slow one the worker looks whether the web workers have taken back what waited behind it.
"""

from __future__ import annotations

import errno
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import threading
from collections import deque
from time import monotonic
from typing import Any, Callable

from . import loader, protocol, scoreboard, stacks, wsgi
from .link import Link
from .process import die_with_parent, empty_pipe, leave_now, wake_pipe
from .spec import Spec

# One read. Larger than the default buffer of a Unix socket, so that it takes all there is.
READ_BYTES = 262_144
# A batch that has lasted so long sends what is finished before it goes on. About thirty small requests.
FLUSH_AFTER = 0.000_2
# After a request that took so long, web workers may have changed their mind about those behind it.
LOOK_AFTER = 0.001
# For the clean-up of a quick end, seconds.
QUICK_END = 2
# `service` on the scoreboard: weight of the newest request.
ALPHA = 1 / 256
# Between attempts to connect to a web worker that is away, seconds; doubled each time.
RETRY_FIRST, RETRY_LAST = 0.02, 1.0


class Worker:
    """One process that runs the application."""

    link_type: type[Link] = Link

    def __init__(self, spec: Spec) -> None:
        self.settings = spec.settings
        self.log = spec.log
        self.board = spec.board
        self.slot = spec.slot
        self.ints = spec.board.ints
        self.doubles = spec.board.doubles
        self.pipe = spec.pipe
        self.page = spec.page
        self.arbiter_pid = spec.arbiter_pid
        self.app = spec.app
        self.booting = True
        self.stop_asked = False
        self.draining = False
        self.recycling = False
        self.done = 0
        self.service = scoreboard.INITIAL_SERVICE
        # A memory fence; nobody else ever holds it.
        self.fence = threading.Lock()
        self.pending: deque[tuple[Link, tuple]] = deque()
        self.links: dict[int, Link] = {}
        # Web workers without a link: when to try again. And how long to wait after the next failure.
        self.away: dict[int, float] = dict.fromkeys(range(len(spec.settings.links)), 0.0)
        self.retry: dict[int, float] = dict.fromkeys(self.away, RETRY_FIRST)
        self.limit = spec.settings.drawn_limit()
        self.epoll = self._make_epoll()

    # --- life

    def run(self) -> int:
        """From the fork to the exit code."""
        return self.serve() if self.boot() else 1

    def boot(self) -> bool:
        """Loads the application. False: it could not be loaded, and the arbiter knows why."""
        self._listen_to_signals()
        die_with_parent(self.arbiter_pid)
        return self._load()

    def serve(self) -> int:
        """Answers until it is told to leave; the exit code."""
        self.booting = False  # from the first HELLO on there may be requests that must not be lost
        self._open_links()
        self.report({"type": "ready"})
        self.loop()
        self.errors.flush()
        self.log.info(f"Worker exiting (pid: {os.getpid()})")
        return 0

    def _load(self) -> bool:
        watched = None
        if self.settings.reload:
            from . import reloader  # only development needs it

            watched = reloader.Watched(os.getcwd(), self.settings.reload_extra_files)
        if self.app is None:
            try:
                self.app = self._load_application()
            except loader.LoadError as error:
                if watched is None:
                    self.report({"type": "failed", "code": error.code, "message": error.message})
                    return False
                self.log.error(f"The application could not be loaded; waiting for a change\n{error.message}")
                watched.add(error.files)
                self.app = reloader.failure_page(error.message)
        if watched is not None:
            reloader.Reloader(watched, self._on_change, self.settings.reload_engine).start()
        settings = self.settings
        base = wsgi.base_environ(self.log, settings.threads, settings.workers, settings.server_software)
        self.errors = base["wsgi.errors"]
        self.gateway = self._make_gateway(base)
        self.gateway.tells_disconnect = settings.client_disconnected
        # What the import has made stays: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        return True

    # What a drop-in's worker does in its own way (drop_in_worker.py).

    def _make_epoll(self) -> Any:
        return select.epoll()

    def _load_application(self) -> Callable[..., Any]:
        return loader.load(self.settings.app)

    def _make_gateway(self, base: dict[str, Any]) -> wsgi.Gateway:
        return wsgi.Gateway(self.app, base, self.log)

    def _on_change(self, file: str) -> None:
        self.report({"type": "changed", "file": file})

    def _handlers(self) -> dict[int, Callable[..., Any]]:
        return {
            signal.SIGUSR1: lambda *_: self.log.reopen(),
            signal.SIGTERM: self.on_term,
            signal.SIGINT: self.on_quit,
            signal.SIGQUIT: self.on_quit,
        }

    def _open_links(self) -> None:
        """HELLO says that the worker is ready, so the scoreboard must say it before."""
        self.epoll.register(self.wake_read, select.EPOLLIN)
        self.epoll.register(self.pipe, select.EPOLLIN)
        self.slot.state = scoreboard.READY
        self._connect(monotonic())

    def report(self, message: dict[str, Any]) -> None:
        """To the arbiter."""
        try:
            self.pipe.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.stop_asked = True  # it is gone

    # --- signals

    def _listen_to_signals(self) -> None:
        self.wake_read, self.wake_write = wake_pipe()
        for number in (signal.SIGCHLD, signal.SIGALRM, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_DFL)
        # Not SIG_IGN, which programs that the application starts would inherit.
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH):
            signal.signal(number, lambda *_: None)
        for number, handler in self._handlers().items():
            signal.signal(number, handler)
        # The arbiter aborts a stuck worker: the log then shows where it was stuck.
        faulthandler.enable(file=self.log.fd, all_threads=True)
        stacks.write_on_signal(self.page)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def on_term(self, *_: object) -> None:
        if self.booting:
            leave_now()
        self.stop_asked = True
        self.slot.state = scoreboard.DRAINING  # at once, though DRAINING follows only after what runs now
        self.wake()
        if os.getppid() != self.arbiter_pid:
            self._bound()

    def wake(self) -> None:
        """Ends the loop's waiting. Handlers do it too: asyncio in an application resets the wake-up descriptor."""
        try:
            os.write(self.wake_write, b"w")
        except BlockingIOError:
            pass

    def on_quit(self, *_: object) -> None:
        """Ends what runs, but lets it clean up: raised in the middle of it. Should that take too long, or should the
        exception be swallowed where it hits, the alarm ends the process all the same."""
        if self.booting:
            leave_now()
        if self.gateway.quitting:
            return  # Ctrl-C reaches us from the terminal and from the arbiter
        self.gateway.quitting = True
        signal.signal(signal.SIGALRM, leave_now)
        signal.alarm(QUICK_END)
        raise SystemExit(0)

    def _bound(self) -> None:
        """The arbiter is gone: nobody else would end us if what runs now does not come to an end."""
        faulthandler.dump_traceback_later(max(1, self.settings.graceful_timeout), exit=True, file=self.log.fd)

    # --- the loop

    def loop(self) -> None:
        while True:
            self.wait(0 if self.pending else None)
            if self.pending:
                self._run_batch()
            if self.gateway.quitting:
                return
            if self.stop_asked and not self.draining:
                self._drain()
            if self.draining and self.drained():
                return

    def wait(self, timeout: float | None) -> None:
        """Waits until something arrives (or a web worker that is away should be tried again) and takes it."""
        if self.away and not self.draining:
            left = max(0.0, min(self.away.values()) - monotonic())
            timeout = left if timeout is None else min(left, timeout)
        for fd, _ in self.epoll.poll(timeout):
            link = self.links.get(fd)
            if link is not None:
                self.receive(link)
            elif fd == self.wake_read:
                empty_pipe(fd)
            elif fd == self.pipe.fileno():
                self._hear()
        if self.away and not self.draining:
            self._connect(monotonic())

    def _hear(self) -> None:
        """The arbiter never speaks on the pipe: what arrives is its end."""
        try:
            if self.pipe.recv(4096):
                return
        except OSError:
            pass
        self.epoll.unregister(self.pipe)
        self.stop_asked = True
        self._bound()

    def receive(self, link: Link) -> None:
        """Takes what is there on a link, without waiting."""
        if link.sock is None:
            return
        try:
            data = link.sock.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lose(link)
            return
        try:
            frames = link.decoder.feed(data)
        except protocol.FrameError as error:
            self.log.error(f"A web worker sent {error}")
            self.lose(link)
            return
        for frame in frames:
            if frame[0] == protocol.REQUEST:
                self.accept(link, frame)
            else:
                self._obey(link, frame)

    def accept(self, link: Link, frame: tuple) -> None:
        self.pending.append((link, frame))

    def _obey(self, link: Link, frame: tuple) -> None:
        kind = frame[0]
        if kind == protocol.CREDIT:
            link.grant(frame[1], frame[2])
        elif kind == protocol.CANCEL:
            if not self.drop(link, frame[1], protocol.abort):
                link.cancel(frame[1])
        elif kind == protocol.TAKE_BACK:
            self.drop(link, frame[1], protocol.returned)
        elif kind == protocol.OPENED:
            link.release_file(frame[1])
        elif kind == protocol.POKE:
            self.say_idle()
        else:
            link.last = True

    def drop(self, link: Link, ident: int, answer: Callable[[int], bytes]) -> bool:
        """Drops a request that has not begun, and says so with this frame."""
        for item in self.pending:
            if item[1][1] == ident and item[0] is link:
                self.pending.remove(item)
                link.send(answer(ident))
                return True
        return False

    def _run_batch(self) -> None:
        """Runs what is there now. The time at which one request ends is the time at which the next begins."""
        pending, serve, service = self.pending, self.gateway.serve, self.service
        begun, doubles = self.board.uints, self.doubles
        at_begun, at_taken_back, at_started = self.slot.at_begun, self.slot.at_taken_back, self.slot.at_started
        acquire, release = self.fence.acquire, self.fence.release
        now = monotonic()
        flush_at = now + FLUSH_AFTER
        for _ in range(len(pending)):
            if not pending:
                break  # taken back meanwhile
            link, (_, ident, flags, text, body) = pending.popleft()
            index = link.index
            begun[at_begun + index] = ident
            doubles[at_started] = now
            # Say first, look then: the web worker does it the other way round (docs/worker-protocol.md, "Taking
            # requests back"). The lock's atomic instruction keeps the processor from swapping the two.
            acquire()
            release()
            if begun[at_taken_back + index]:
                link.push(protocol.returned(ident))
                continue
            serve(link, ident, flags, text, body)
            self.done += 1
            began, now = now, monotonic()
            service += (now - began - service) * ALPHA
            if now > flush_at:
                self._flush(service)
                if now - began > LOOK_AFTER:
                    for other in list(self.links.values()):
                        self.receive(other)
                flush_at = now + FLUSH_AFTER
        doubles[at_started] = 0.0
        self.service = service
        self._flush(service)
        self._after_batch()

    def _flush(self, service: float) -> None:
        """Sends what is finished and says on the scoreboard that it is."""
        self.board.uints[self.slot.at_done] = self.done & 0xFFFFFFFF
        self.doubles[self.slot.at_service] = service
        for link in list(self.links.values()):
            link.flush()

    def _after_batch(self) -> None:
        self.errors.flush()
        self.check_limit()

    def check_limit(self) -> None:
        """max_requests: asks for a successor, and goes on until the arbiter has one and says TERM."""
        if self.limit and self.done >= self.limit and not self.recycling:
            self.recycling = True
            self.log.info(f"Worker has answered {self.done} requests (pid: {os.getpid()}): to be replaced")
            self.report({"type": "recycle"})

    def say_idle(self) -> None:
        """A place here is free: the web workers that wait for one are told."""
        for link in list(self.links.values()):
            if self.board.waiting(link.index):
                link.send(protocol.idle)

    # --- leaving

    def _drain(self) -> None:
        """No new requests: when each web worker has said LAST, what is here is all there is."""
        self.draining = True
        self.slot.state = scoreboard.DRAINING
        for link in list(self.links.values()):
            link.send(protocol.draining)

    def drained(self) -> bool:
        return not self.pending and all(link.last for link in self.links.values())

    # --- links

    def _connect(self, now: float) -> None:
        for index, due in list(self.away.items()):
            if due <= now:
                self._connect_one(index, now)

    def _connect_one(self, index: int, now: float) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Not blocking: with a full backlog it would wait for a web worker that may be about to be replaced.
            sock.setblocking(False)
            sock.connect("\0" + self.settings.links[index])
            sock.setblocking(True)
        except OSError as error:
            sock.close()
            if error.errno not in (errno.EAGAIN, errno.ECONNREFUSED):
                self.log.error(f"Cannot connect to a web worker: {error}")
            self._try_later(index, now)
            return
        del self.away[index]
        link = self.link_type(self, index, sock)
        self.links[sock.fileno()] = link
        self.epoll.register(sock, select.EPOLLIN)
        link.send(protocol.hello(bytes.fromhex(self.settings.secret), self.slot.number, os.getpid()))

    def _try_later(self, index: int, now: float) -> None:
        self.away[index] = now + self.retry[index]
        self.retry[index] = min(RETRY_LAST, self.retry[index] * 2)

    def lose(self, link: Link) -> None:
        """The web worker has closed the link, or has ended."""
        if link.sock is None:
            return
        fd = link.sock.fileno()
        self.links.pop(fd, None)
        self.epoll.unregister(fd)
        link.fall()
        for item in [item for item in self.pending if item[0] is link]:
            self.pending.remove(item)
        now = monotonic()
        if now - link.since > RETRY_LAST:  # it was a good one
            self.retry[link.index] = RETRY_FIRST
        self._try_later(link.index, now)
