"""What an arbiter knows of its workers, and how processes talk that are not in a hurry: JSON lines."""

from __future__ import annotations

import json
import signal
import socket
from time import monotonic
from typing import Any, Callable

from . import loader, scoreboard
from .life_limits import LifeLimits
from .process import signal_name
from .spec import Settings

# Of a replacement after a failure: at once, then doubling from the first to the last; forgotten after a good life.
# Seconds.
BACK_OFF_FIRST, BACK_OFF_LAST, GOOD_LIFE = 0.1, 10.0, 10.0


class Channel:
    """The control channel, not blocking to read: JSON lines."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = b""

    def send(self, message: dict[str, Any]) -> None:
        """A message that does not get through is lost: the end of the channel is noticed when reading."""
        try:
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass

    def close(self) -> list[dict[str, Any]]:
        """Returns what was said and not yet heard."""
        self.sock.setblocking(False)
        messages = self.receive() or []
        self.sock.close()
        return messages

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that are there (waits for the first bytes); None at the end."""
        try:
            data = self.sock.recv(65536)
        except InterruptedError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


class Child:
    """One worker process, as its arbiter sees it. `state`: booting, ready, or leaving (told to end)."""

    __slots__ = (
        "aborted",
        "born",
        "channel",
        "face",
        "kill_at",
        "limits",
        "page",
        "pid",
        "place",
        "ready_at",
        "reason",
        "recycle",
        "slot",
        "state",
    )

    def __init__(
        self,
        pid: int,
        slot: scoreboard.Slot,
        channel: Channel,
        place: Place,
        page: int,
        limits: LifeLimits,
        face: Any = None,
    ) -> None:
        self.pid = pid
        self.slot = slot
        self.channel = channel
        self.place = place
        self.page = page  # where it writes its stacks (stacks.py)
        self.limits = limits
        self.face = face  # what hooks see of it
        self.state = "booting"
        self.born = monotonic()
        self.ready_at = 0.0
        self.kill_at = 0.0  # SIGKILL then; 0: not planned
        self.aborted = False
        self.recycle = False
        self.reason: dict[str, Any] | None = None  # its own report of why it could not boot

    def is_watched(self, settings: Settings) -> bool:
        """Leaving workers have a deadline of their own."""
        return settings.timeout > 0 and self.state != "leaving" and not self.aborted

    def expires(self, settings: Settings) -> float:
        """When it counts as stuck, should it give no sign of life before."""
        return self.alive_at(settings.threads) + settings.timeout

    def look_at(self, settings: Settings) -> float:
        """When to look again. An idle worker may begin a request at any time, which nobody tells us."""
        is_idle = self.state == "ready" and settings.threads == 1 and self.slot.started == 0
        return monotonic() + settings.timeout / 8 if is_idle else self.expires(settings)

    def alive_at(self, threads: int) -> float:
        """The last sign of life: with one thread, between two requests; with several, a heartbeat (as in Gunicorn)."""
        if self.state == "booting":
            return self.born
        if threads > 1:
            return self.slot.heartbeat
        return self.slot.started or monotonic()


class Hooks:
    """What else happens when something does: nothing, unless a drop-in's hooks want to know (drop_in.py)."""

    # Signals that somebody sends to the arbiter mean the service.
    forwards_signals = False

    def setting_up(self, workers: int) -> None:
        """Before the application is loaded."""

    def load(self, app: str) -> Callable[..., Any]:
        """The application, for all workers. Raises LoadError."""
        return loader.load(app)

    def starting(self) -> None:
        """The application is loaded, if it is preloaded; no worker is there yet. May raise: then nothing starts."""

    def forking(self) -> Any:
        """Before each fork. Returns the worker's face."""
        return None

    def forked(self, child: Child) -> None:
        pass

    def ended(self, child: Child, code: int) -> None:
        pass

    def resized(self, workers: int) -> None:
        pass

    def measured(self, busy: int, waiting: int, waited: int, seconds: float) -> None:
        """From time to time: how many workers are busy, and what the scoreboard says of requests that wait."""

    def upgrading(self) -> None:
        """Another program is about to start."""

    def reopening(self) -> None:
        """Log files are opened anew."""

    def finished(self, for_good: bool) -> None:
        """All workers have left. `for_good`: the service ends, it is no reload."""


class Place:
    """One of the `workers` that there should be. Survives its tenants, and remembers how they fared."""

    __slots__ = ("child", "due", "failures", "successor")

    def __init__(self) -> None:
        self.child: Child | None = None
        self.successor: Child | None = None
        self.failures = 0
        self.due = 0.0

    def note_end(self, lived: float, now: float) -> float:
        """After a tenant's unplanned end: how long the place stays empty."""
        self.failures = 1 if lived >= GOOD_LIFE else self.failures + 1
        delay = 0.0 if self.failures == 1 else min(BACK_OFF_LAST, BACK_OFF_FIRST * 2 ** (self.failures - 2))
        self.due = now + delay
        return delay


def why_it_ended(child: Child, code: int, killed_by: int) -> str:
    """For "Worker (pid:N) …"."""
    if child.reason is not None:
        lines = [line for line in child.reason["message"].splitlines() if line and not line[0].isspace()]
        return f"could not load the application: {lines[-1] if lines else '?'}"
    doing = " while it was booting" if child.state == "booting" else ""
    if child.aborted:
        return f"was ended after its timeout{doing}"
    if killed_by == signal.SIGKILL:
        return f"was sent SIGKILL!{doing} Perhaps out of memory?"
    if killed_by:
        return f"was killed by {signal_name(killed_by)}{doing}"
    return f"exited with code {code}{doing}"
