"""A worker as hooks and subclasses see it. What it does is done by the engine behind it (drop_in_worker.py)."""

from __future__ import annotations

import os
import sys
from time import monotonic
from typing import Any, Callable


class _Heartbeat:
    """`worker.tmp`: the sign of life, which is in shared memory here."""

    def __init__(self) -> None:
        self._last = monotonic()

    def notify(self) -> None:
        self._last = monotonic()

    def last_update(self) -> float:
        return self._last

    def close(self) -> None:
        pass


class Worker:
    """Subclasses may override any method, and call the one that they replace."""

    kind = "sync"
    SIGNALS = ()

    def __init__(self, age: int, ppid: int, sockets: list, app: Any, timeout: float, cfg: Any, log: Any) -> None:
        self.age = age
        self.pid: int | str = "[booting]"
        self.ppid = ppid
        self.sockets = sockets
        self.app = app
        self.timeout = timeout
        self.cfg = cfg
        self.log = log
        self.booted = False
        self.aborted = False
        self.reloader = None
        self.alive = True
        self.tmp = _Heartbeat()
        self.wsgi: Callable[..., Any] | None = None
        self.engine: Any = None  # set in the worker's own process

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"

    @property
    def nr(self) -> int:
        """Requests so far; where a hook looks at requests, the one that it sees included."""
        if self.engine is None:
            return 0
        return getattr(getattr(self.engine, "gateway", None), "begun", self.engine.done)

    @property
    def max_requests(self) -> int:
        return (self.engine.limit if self.engine is not None else self.cfg.max_requests) or sys.maxsize

    @classmethod
    def setup(cls) -> None:
        """Called once, before the first worker is made."""

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """May warn about settings."""

    def notify(self) -> None:
        """A sign of life."""
        self.tmp.notify()
        if self.engine is not None:
            self.engine.show_life()

    def init_process(self) -> None:
        """In the new process: loads the application and serves until the end."""
        if not self.engine.boot():
            sys.exit(1)
        self.engine.tell_booted()
        self.booted = True
        self.run()

    def init_signals(self) -> None:
        """The engine has set the handlers; a subclass may change them."""

    def load_wsgi(self) -> None:
        """Sets `wsgi`."""
        self.wsgi = self.app.wsgi()

    def run(self) -> None:
        self.engine.serve()

    # Signals.

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.alive = False
        self.engine.on_term(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        self.alive = False
        self.engine.tell("worker_int")
        self.engine.on_quit(sig, frame)

    def handle_abort(self, sig: int, frame: Any) -> None:
        self.alive = False
        self.aborted = True
        self.engine.tell("worker_abort")
        self.engine.on_abort()

    def handle_usr1(self, sig: int, frame: Any) -> None:
        self.log.reopen_files()

    def is_parent_alive(self) -> bool:
        return self.ppid == os.getppid()
