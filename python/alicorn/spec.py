"""What a worker is started with: the master's settings, and what the arbiter adds for the child that it has forked."""

from __future__ import annotations

import os
import socket
from typing import Any, Callable, NamedTuple

from .log import Log
from .scoreboard import Scoreboard, Slot


class Settings(NamedTuple):
    """What the master's start message says."""

    app: str
    generation: int
    slots: tuple[int, int]
    links: list[str]
    secret: str
    workers: int = 1
    threads: int = 1
    timeout: float = 30
    graceful_timeout: float = 30
    max_requests: int = 0
    max_requests_jitter: int = 0
    max_worker_memory: int = 0
    max_worker_age: float = 0
    max_request_time: float = 0
    client_disconnected: bool = False
    preload: bool = False
    reload: bool = False
    reload_extra_files: list[str] = []  # noqa: RUF012 (never changed)
    chdir: str = ""
    env: list[str] = []  # noqa: RUF012 (never changed)
    errorlog: str = "-"
    loglevel: str = "info"
    server_software: str = "alicorn"
    uid: int | None = None
    gid: int | None = None
    user: str = ""
    reload_engine: str = "auto"
    # Gunicorn's command line and what goes with it (drop_in.py); None: this is no drop-in.
    gunicorn: dict[str, Any] | None = None

    @classmethod
    def of(cls, message: dict[str, Any]) -> Settings:
        """Unknown fields are left out: a newer master may say more."""
        return cls(**{name: message[name] for name in cls._fields if name in message})

    def drawn_limit(self) -> int:
        """max_requests, with its jitter drawn anew in each worker (from the kernel: a fork copies `random`'s state)."""
        if not self.max_requests:
            return 0
        return self.max_requests + int.from_bytes(os.urandom(4), "little") % (self.max_requests_jitter + 1)


class Spec(NamedTuple):
    """What the arbiter hands to the child that it has forked."""

    settings: Settings
    log: Log
    board: Scoreboard
    slot: Slot
    pipe: socket.socket
    arbiter_pid: int
    app: Callable[..., Any] | None
    # Where it writes its stacks when it is asked (stacks.py).
    page: int
    # What hooks see of the worker (drop_in.py); None: nobody looks.
    face: Any = None
