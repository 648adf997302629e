"""Where a worker's threads are, told also by one that is stuck: a signal lets the interpreter write it down, whatever
runs, in C or in Python, with the lock or without it."""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
from time import monotonic
from typing import Callable, NamedTuple

from .process import kill

# A real-time signal: applications and people use those that have names.
STACK_SIGNAL = signal.SIGRTMIN + 7
# The text is complete when it has not grown for so long; a worker that has said nothing by then cannot, seconds.
SETTLED, PATIENCE = 0.02, 2.0


def make_page() -> int:
    """The memory that a worker writes to: nobody has to read for it not to be held up."""
    page = os.memfd_create("alicorn-stack")
    fcntl.fcntl(page, fcntl.F_SETFL, fcntl.fcntl(page, fcntl.F_GETFL) | os.O_APPEND)
    return page


def write_on_signal(page: int) -> None:
    """In the worker."""
    faulthandler.register(STACK_SIGNAL, file=page, all_threads=True)


class _Question(NamedTuple):
    pid: int
    page: int
    size: int
    look_at: float
    give_up_at: float
    answer: Callable[[str], None]


class Questions:
    """The arbiter's: what has been asked of workers and not been answered."""

    def __init__(self) -> None:
        self._open: list[_Question] = []

    def ask(self, pid: int, page: int, answer: Callable[[str], None]) -> None:
        os.ftruncate(page, 0)
        kill(pid, STACK_SIGNAL)
        now = monotonic()
        self._open.append(_Question(pid, page, 0, now + SETTLED, now + PATIENCE, answer))

    def deadlines(self) -> list[float]:
        return [question.look_at for question in self._open]

    def look(self, now: float) -> None:
        """Answers those whose text is complete."""
        for question in [question for question in self._open if question.look_at <= now]:
            self._open.remove(question)
            size = os.fstat(question.page).st_size
            if (size and size == question.size) or now >= question.give_up_at:
                question.answer(os.pread(question.page, size, 0).decode(errors="replace"))
            else:
                self._open.append(question._replace(size=size, look_at=now + SETTLED))

    def forget(self, pid: int) -> None:
        """It has ended: its page goes."""
        self._open = [question for question in self._open if question.pid != pid]
