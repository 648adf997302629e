"""What processes do to each other: signals, and the kernel's notice of a parent's death."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import Iterator

from .log import flush_standard_streams

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def kill(pid: int, number: int) -> None:
    """For our own children: one that has not been reaped keeps its pid, so nobody else can be hit."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def wake_pipe() -> tuple[int, int]:
    """Signals write to it, so that waiting for other things ends: the reading and the writing end."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read, write


def empty_pipe(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass


def fork_deaf() -> int:
    """Forks with all signals blocked in the child: it must not act on one with its parent's handlers, and unblocks them
    when it has its own."""
    flush_standard_streams()
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid != 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return pid


def become(uid: int | None, gid: int | None, user: str) -> None:
    """Gives up root's rights for good: the application runs as this user. None: it stays who it is."""
    if uid is None or gid is None:
        return
    os.initgroups(user, gid)
    os.setgid(gid)
    os.setuid(uid)
    # Else the kernel would hide our descriptors from the web workers, though they run as the same user: they take files
    # from us by them.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def leave_now(*_: object) -> None:
    """A signal handler that ends the process, whatever it is doing."""
    flush_standard_streams()
    os._exit(0)


def die_with_parent(parent: int) -> None:
    """SIGTERM when the parent has died, also to a process that is too busy to read a pipe."""
    _death_signal(signal.SIGTERM)
    if os.getppid() != parent:  # died before we asked
        sys.exit(0)


@contextlib.contextmanager
def dying_with_parent() -> Iterator[None]:
    """The same for a while: the import of the application may take long, or for ever."""
    _death_signal(signal.SIGTERM)
    try:
        yield
    finally:
        _death_signal(0)


def _death_signal(number: int) -> None:
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
    except (OSError, AttributeError):
        pass  # not Linux: the pipe has to do
