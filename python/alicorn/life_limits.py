"""When a worker has lived long enough, or has grown too large: it is replaced, one at a time, as by max_requests."""

from __future__ import annotations

import math
import os
from time import monotonic

from .spec import Settings

# Each worker draws limits of its own, up to this share below what was asked for: those that start together do not end
# together.
JITTER = 0.1
# One that needs more than it may as soon as it is loaded would be replaced for ever: it may grow by this share first.
GROWTH = 0.1


class LifeLimits:
    """Of one worker."""

    __slots__ = ("bytes", "ends_at")

    def __init__(self, settings: Settings) -> None:
        self.ends_at = math.inf
        if settings.max_worker_age:
            self.ends_at = monotonic() + settings.max_worker_age * _drawn()
        self.bytes = settings.max_worker_memory * _drawn() if settings.max_worker_memory else math.inf

    def begin(self, rss: int) -> str | None:
        """It is loaded, and has this size. What is to be said about that."""
        if rss < self.bytes:
            return None
        self.bytes = rss * (1 + GROWTH)
        return (
            f"max_worker_memory: a worker has {_megabytes(rss)} as soon as it is loaded; "
            f"it is replaced at {_megabytes(self.bytes)}"
        )

    def reached(self, now: float, rss: int) -> str | None:
        """Why it has to be replaced."""
        if now >= self.ends_at:
            return "has reached its age (max_worker_age)"
        if rss >= self.bytes:
            return f"has {_megabytes(rss)} (max_worker_memory)"
        return None


def _drawn() -> float:
    """From the kernel: a fork would copy the state of `random`."""
    return 1 - JITTER * int.from_bytes(os.urandom(4), "little") / 2**32


def _megabytes(size: float) -> str:
    return f"{size / 2**20:.0f} MB"
