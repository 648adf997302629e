"""The arbiter: forks workers, watches them, replaces them, and reports to the master.

Started with the scoreboard as descriptor 3 and a control channel as NODE_CHANNEL_FD: a Unix stream socket that
carries one JSON object per line in both directions. Its end is the master's death. Signals only write to a pipe
that the loop reads; the loop waits for events and for the next deadline, and does not poll.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
from collections import deque
from time import monotonic
from typing import Any, Callable

from . import loader, scoreboard, stacks
from .child import Channel, Child, Hooks, Place, why_it_ended
from .life_limits import LifeLimits
from .log import Log, short_traceback
from .process import dying_with_parent, empty_pipe, fork_deaf, kill, signal_name, wake_pipe
from .spec import Settings, Spec

SCOREBOARD_FD = 3
# Between SIGABRT, which makes a stuck worker show its stack, and SIGKILL, seconds.
ABORT_GRACE = 1.0
# A quick stop is one all the same: longer than an application's clean-up should take, seconds.
QUICK_STOP = 3.0
# How often the resident size is noted on the scoreboard; where it is limited; seconds.
RSS_EVERY, LIMITED_RSS_EVERY = 5.0, 1.0


class Arbiter:
    def __init__(
        self, channel: Channel, settings: Settings, log: Log, early: list[dict[str, Any]], hooks: Hooks | None = None
    ) -> None:
        """`early`: messages that came together with the first."""
        self.hooks = hooks or Hooks()
        self.for_good = False
        self.channel = channel
        self.early = early
        self.settings = settings
        self.log = log
        self.board = scoreboard.Scoreboard(SCOREBOARD_FD)
        self.pid = os.getpid()
        first, count = settings.slots
        # Longest free first: web workers may still want to read the `cause` of a slot's last tenant.
        self.free: deque[int] = deque(range(first, first + count))
        self.places = [Place() for _ in range(settings.workers)]
        self.children: dict[int, Child] = {}
        self.app: Callable[..., Any] | None = None
        self.was_ready = False
        self.stopping = False
        self.exit_code = 0
        self.last_failure = ""
        self.rss_every = LIMITED_RSS_EVERY if settings.max_worker_memory else RSS_EVERY
        self.rss_due = monotonic() + self.rss_every
        self.signals: list[int] = []
        self.questions = stacks.Questions()

    # --- life

    def run(self) -> int | Spec:
        """The exit code; or, in a child that has been forked, what the worker needs to know."""
        self.hooks.setting_up(self.settings.workers)
        if self.settings.preload and not self._preload():
            return self.exit_code
        if not self._tell_start():
            return self.exit_code
        self._listen()
        self._obey(self.early)
        while True:
            spec = self._fill()
            if spec is not None:
                return spec
            if self.stopping and not self.children:
                self.hooks.finished(self.for_good)
                return self.exit_code
            self._wait()
            self._check()

    def _tell_start(self) -> bool:
        try:
            self.hooks.starting()
        except Exception as error:
            self._report_failure(1, short_traceback(error))
            return False
        return True

    def _preload(self) -> bool:
        if self.settings.reload:
            self.log.warning("--preload is ignored with --reload")
            return True
        with dying_with_parent():
            try:
                self.app = self.hooks.load(self.settings.app)
            except loader.LoadError as error:
                self._report_failure(error.code, error.message)
                return False
        # Pages that the collector does not touch stay shared after the fork.
        gc.collect()
        gc.freeze()
        return True

    def _listen(self) -> None:
        self.wake_read, self.wake_write = wake_pipe()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda number, _: self.signals.append(number))
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU):
            if self.hooks.forwards_signals:
                signal.signal(number, lambda number, _: self.signals.append(number))
            else:
                signal.signal(number, lambda *_: None)  # the master's to decide
        self.poll = select.poll()
        self.poll.register(self.wake_read, select.POLLIN)
        self.poll.register(self.channel.sock, select.POLLIN)

    # --- the loop's three steps: wait and hear, look at the deadlines, fill the places

    def _wait(self) -> None:
        timeout = max(0.0, self._next_deadline() - monotonic())
        for fd, _ in self.poll.poll(timeout * 1000 + 1):
            if fd == self.wake_read:
                empty_pipe(fd)
            elif fd == self.channel.sock.fileno():
                self._hear_master()
            else:
                self._hear_child(fd)
        signals, self.signals = self.signals, []
        for number in signals:
            self._on_signal(number)
        self._reap()

    def _next_deadline(self) -> float:
        deadlines = [self.rss_due, *self.questions.deadlines()]
        deadlines += [child.kill_at for child in self.children.values() if child.kill_at]
        deadlines += [
            child.look_at(self.settings) for child in self.children.values() if child.is_watched(self.settings)
        ]
        deadlines += [
            child.limits.ends_at for child in self.children.values() if child.state == "ready" and not child.recycle
        ]
        if self.free:
            deadlines += [place.due for place in self.places if self._wants_one(place)]
        return min(deadlines)

    def _check(self) -> None:
        now = monotonic()
        for child in list(self.children.values()):
            if child.kill_at and now >= child.kill_at:
                child.kill_at = 0.0
                if not child.aborted:
                    self.log.error(f"Worker (pid:{child.pid}) did not leave in time: SIGKILL")
                kill(child.pid, signal.SIGKILL)
            elif child.is_watched(self.settings) and now >= child.expires(self.settings):
                self._abort(child, now)
        self.questions.look(now)
        if now >= self.rss_due:
            self.rss_due = now + self.rss_every
            for child in self.children.values():
                child.slot.note_rss()
            self.hooks.measured(self._busy(), *self.board.queues())
        for child in self.children.values():
            self._retire(child, now)
        self._recycle()

    def _busy(self) -> int:
        return sum(child.slot.started > 0 for child in self.children.values())

    def _retire(self, child: Child, now: float) -> None:
        if child.state != "ready" or child.recycle:
            return
        why = child.limits.reached(now, child.slot.rss)
        if why is not None:
            child.recycle = True
            self.log.info(f"Worker (pid:{child.pid}) {why}: to be replaced")

    def _fill(self) -> Spec | None:
        """Starts what is missing. Not None in the child."""
        now = monotonic()
        for place in self.places:
            if place.due <= now and self.free and self._wants_one(place):
                spec = self._fork(place)
                if spec is not None:
                    return spec
        return None

    def _wants_one(self, place: Place) -> bool:
        """Nobody there; or one to be replaced, one at a time: with all at once there would be nobody to serve."""
        if place.child is None:
            return True
        return place.child.recycle and not any(other.successor for other in self.places)

    # --- time

    def _abort(self, child: Child, now: float) -> None:
        took = now - child.alive_at(self.settings.threads)
        what = "booting" if child.state == "booting" else "silent" if self.settings.threads > 1 else "in one request"
        child.slot.cause = scoreboard.TIMEOUT
        child.aborted = True
        child.kill_at = now + ABORT_GRACE
        self.log.critical(
            f"WORKER TIMEOUT (pid:{child.pid}): {took:.1f} s {what} (--timeout {self.settings.timeout:g})"
        )
        kill(child.pid, signal.SIGABRT)

    # --- birth

    def _fork(self, place: Place) -> Spec | None:
        number = self.free.popleft()
        slot = self.board.slot(number)
        slot.begin(self.settings.generation, self.settings.threads)
        face = self.hooks.forking()
        ours, theirs = socket.socketpair()
        page = stacks.make_page()
        try:
            pid = fork_deaf()
        except OSError as error:
            os.close(page)
            return self._not_forked(place, slot, (ours, theirs), error)
        if pid == 0:
            slot.pid = os.getpid()
            self._leave_behind(ours)
            return Spec(self.settings, self.log, self.board, slot, theirs, self.pid, self.app, page, face)
        theirs.close()
        slot.pid = pid
        child = Child(pid, slot, Channel(ours), place, page, LifeLimits(self.settings), face)
        self.hooks.forked(child)
        if place.child is None:
            place.child = child
        else:
            place.successor = child
        self.children[pid] = child
        self.poll.register(ours, select.POLLIN)
        self.log.info(f"Booting worker with pid: {pid}")
        self.channel.send({"type": "booting", "slot": number, "pid": pid})
        return None

    def _not_forked(
        self, place: Place, slot: scoreboard.Slot, ends: tuple[socket.socket, socket.socket], error: OSError
    ) -> None:
        """The machine has no room for another process now."""
        for end in ends:
            end.close()
        slot.state = scoreboard.FREE
        self.free.append(slot.number)
        now = monotonic()
        delay = place.note_end(0.0, now) or place.note_end(0.0, now)  # never at once
        self.log.error(f"Cannot start a worker: {error}; trying again in {delay:.1f} s")

    def _leave_behind(self, ours: socket.socket) -> None:
        """In the child: closes what is the arbiter's, so that nobody's end is hidden by a copy in a sibling."""
        signal.set_wakeup_fd(-1)
        ours.close()
        for child in self.children.values():
            child.channel.sock.close()
            os.close(child.page)
        self.channel.sock.close()
        os.close(self.wake_read)
        os.close(self.wake_write)

    # --- hearing

    def _hear_master(self) -> None:
        messages = self.channel.receive()
        if messages is None:
            self.log.error("The master is gone: stopping")
            self.poll.unregister(self.channel.sock)
            self._stop(signal.SIGTERM, self.settings.graceful_timeout)
            return
        self._obey(messages)

    def _obey(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            kind = message.get("type")
            if kind in ("stop", "quit"):
                self.for_good = self.for_good or bool(message.get("for_good"))
            if kind == "stop":
                self._stop(signal.SIGTERM, self.settings.graceful_timeout)
            elif kind == "quit":
                self._stop(signal.SIGQUIT, QUICK_STOP)
            elif kind == "upgrade":
                self.hooks.upgrading()
            elif kind == "workers":
                self._resize(int(message["count"]))
            elif kind == "reopen":
                self._reopen()
            elif kind in ("recycle", "stack") and message.get("pid") in self.children:
                child = self.children[message["pid"]]
                if kind == "recycle":
                    child.recycle = True
                else:
                    self._ask_stack(child)

    def _ask_stack(self, child: Child) -> None:
        pid = child.pid
        self.questions.ask(pid, child.page, lambda text: self.channel.send({"type": "stack", "pid": pid, "text": text}))

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return
        if self.hooks.forwards_signals:
            self.channel.send({"type": "signal", "name": signal_name(number)})
        elif number == signal.SIGTERM:
            self._stop(signal.SIGTERM, self.settings.graceful_timeout)
        elif number in (signal.SIGINT, signal.SIGQUIT):
            self._stop(signal.SIGQUIT, QUICK_STOP)
        elif number == signal.SIGUSR1:
            self._reopen()

    def _hear_child(self, fd: int) -> None:
        child = next((child for child in self.children.values() if child.channel.sock.fileno() == fd), None)
        if child is None:
            return
        messages = child.channel.receive()
        if messages is None:
            self.poll.unregister(fd)  # it is ending: the rest is told by its exit
            return
        for message in messages:
            kind = message["type"]
            if kind == "ready":
                self._on_ready(child)
            elif kind == "failed":
                child.reason = message
            elif kind == "recycle":
                child.recycle = True
                child.slot.cause = message.get("cause", child.slot.cause)
            elif kind == "changed":
                self._on_change(child, message["file"])

    def _on_ready(self, child: Child) -> None:
        child.ready_at = monotonic()
        child.slot.note_rss()
        self.was_ready = True
        self.last_failure = ""
        if child.state == "leaving":
            return
        child.state = "ready"
        warning = child.limits.begin(child.slot.rss)
        if warning is not None:
            self.log.warning(warning)
        self.channel.send({"type": "ready", "slot": child.slot.number, "pid": child.pid})
        place = child.place
        if place.successor is child:
            old, place.child, place.successor = place.child, child, None
            if old is not None:
                self._dismiss(old)

    def _on_change(self, child: Child, file: str) -> None:
        """--reload: the old code must answer no more; the successor starts meanwhile."""
        if child.state == "leaving" or self.stopping:
            return
        self.log.info(f"{_shown(file)} has changed: restarting the worker (pid:{child.pid})")
        child.place.due = 0.0
        child.place.failures = 0
        if child.place.child is child:
            child.place.child = None
        self._dismiss(child)

    # --- leaving

    def _dismiss(self, child: Child) -> None:
        """Gracefully: it finishes what it has."""
        if child.state != "leaving":
            child.state = "leaving"
            child.kill_at = monotonic() + self.settings.graceful_timeout
            kill(child.pid, signal.SIGTERM)

    def _stop(self, how: int, within: float) -> None:
        self.stopping = True
        self.places.clear()
        deadline = monotonic() + within
        for child in self.children.values():
            child.state = "leaving"
            if not child.aborted:
                child.kill_at = min(child.kill_at or deadline, deadline)
            kill(child.pid, how)

    def _resize(self, count: int) -> None:
        """TTIN and TTOU. The oldest leave first."""
        if self.stopping:
            return
        count = max(1, min(count, self.settings.slots[1]))
        self.hooks.resized(count)
        while len(self.places) < count:
            self.places.append(Place())
        self.places.sort(key=lambda place: place.child.born if place.child else 0.0)
        for place in self.places[: len(self.places) - count]:
            self.places.remove(place)
            for child in (place.child, place.successor):
                if child is not None:
                    self._dismiss(child)

    def _recycle(self) -> None:
        """Where there is no free slot for a successor, the old one has to leave first."""
        if self.free or self.stopping:
            return
        if any(child.state == "leaving" for child in self.children.values()):
            return
        for child in self.children.values():
            if child.recycle and child.place.successor is None:
                child.place.due = 0.0
                self._dismiss(child)
                return

    def _reopen(self) -> None:
        self.hooks.reopening()
        self.log.reopen()
        for child in self.children.values():
            kill(child.pid, signal.SIGUSR1)

    # --- death

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.children.pop(pid, None)
            if child is not None:
                self._bury(child, status)

    def _bury(self, child: Child, status: int) -> None:
        child.reason = self._last_words(child)
        self.questions.forget(child.pid)
        os.close(child.page)
        code, killed_by = (-1, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), 0)
        self.hooks.ended(child, code)
        slot = child.slot
        slot.state = scoreboard.FREE
        self.free.append(slot.number)
        self.channel.send(
            {
                "type": "exited",
                "slot": slot.number,
                "pid": child.pid,
                "code": code,
                "signal": killed_by,
                "cause": slot.cause,
            }
        )
        place = child.place
        planned = child.state == "leaving"
        if place.child is child:
            place.child, place.successor = place.successor, None
        elif place.successor is child:
            place.successor = None
        if planned or self.stopping:
            return
        self._on_failure(child, code, killed_by)

    def _last_words(self, child: Child) -> dict[str, Any] | None:
        """Its reason, also if nobody has heard it yet."""
        with contextlib.suppress(KeyError):
            self.poll.unregister(child.channel.sock)
        reasons = [message for message in child.channel.close() if message["type"] == "failed"]
        return reasons[0] if reasons else child.reason

    def _on_failure(self, child: Child, code: int, killed_by: int) -> None:
        """Nobody had asked it to leave."""
        why = why_it_ended(child, code, killed_by)
        if not self.was_ready:
            if child.reason is not None:
                self._report_failure(child.reason["code"], child.reason["message"])
            else:
                self._report_failure(loader.IMPORT_FAILED, f"Worker (pid:{child.pid}) {why}")
            self._stop(signal.SIGTERM, QUICK_STOP)
            return
        now = monotonic()
        delay = child.place.note_end(now - child.born, now)
        again = f"the next one starts in {delay:.1f} s" if delay else "starting another"
        line = f"Worker (pid:{child.pid}) {why}; {again}"
        if child.reason is not None and child.reason["message"] != self.last_failure:
            self.last_failure = child.reason["message"]
            line += f"\n{self.last_failure}"  # once, not with each attempt
        self.log.error(line)

    def _report_failure(self, code: int, message: str) -> None:
        """The first boot failed: the master says it to the user."""
        self.exit_code = code
        self.channel.send({"type": "failed", "code": code, "message": message})


def _shown(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
