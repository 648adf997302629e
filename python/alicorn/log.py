"""The error log, in Gunicorn's line format, which other tools parse: `[2026-11-24 09:22:34 +0000] [PID] [LEVEL] …`."""

from __future__ import annotations

import importlib
import io
import os
import sys
import threading
import time
import traceback

_levels = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_package = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Log:
    """Lines go out with one write each to a descriptor in append mode, so that processes can share a file."""

    def __init__(self, path: str = "-", level: str = "info") -> None:
        # The start directory may change under us (chdir): reopening must find the same file.
        self.path = path if path == "-" else os.path.abspath(path)
        self.threshold = _levels.get(level.lower(), 20)
        self.fd = 2 if path == "-" else self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def reopen(self) -> None:
        """After log rotation. The descriptor keeps its number: faulthandler and others hold it."""
        if self.path == "-":
            return
        try:
            fresh = self._open()
        except OSError as error:
            self.error(f"cannot reopen {self.path}: {error}")
            return
        os.dup2(fresh, self.fd, inheritable=False)
        os.close(fresh)

    def debug(self, message: str) -> None:
        if self.threshold <= 10:
            self._line("DEBUG", message)

    def info(self, message: str) -> None:
        if self.threshold <= 20:
            self._line("INFO", message)

    def warning(self, message: str) -> None:
        if self.threshold <= 30:
            self._line("WARNING", message)

    def error(self, message: str) -> None:
        if self.threshold <= 40:
            self._line("ERROR", message)

    def critical(self, message: str) -> None:
        self._line("CRITICAL", message)

    def _line(self, level: str, message: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S %z")
        self.write(f"[{stamp}] [{os.getpid()}] [{level}] {message}\n")

    def write(self, text: str) -> None:
        """Raw text. A log that cannot be written must not end the server."""
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:
            pass


class ErrorStream(io.TextIOBase):
    """`wsgi.errors`: a text stream into the log. Lines go out whole, so that those of several workers do not mix."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tail = ""
        self._lock = threading.Lock()

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        with self._lock:
            lines, newline, tail = (self._tail + text).rpartition("\n")
            self._tail = tail
        if newline:
            self._log.write(lines + newline)
        return len(text)

    def flush(self) -> None:
        if not self._tail:
            return
        with self._lock:
            tail, self._tail = self._tail, ""
        self._log.write(tail)

    def close(self) -> None:
        """Shared by all requests: an application that closes it only flushes it."""
        self.flush()


def short_traceback(error: BaseException) -> str:
    """The user's part of a traceback: without our frames and those of the import system."""
    report = traceback.TracebackException(type(error), error, error.__traceback__)
    _strip(report, set())
    return "".join(report.format()).rstrip("\n")


def _is_users(filename: str) -> bool:
    return not filename.startswith((_package, "<frozen importlib", "<frozen runpy"))


def _strip(report: traceback.TracebackException | None, seen: set[int]) -> None:
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    report.stack[:] = [frame for frame in report.stack if _is_users(frame.filename)]
    if report.stack and report.stack[0].filename == importlib.__file__:
        del report.stack[0]  # our call; the application's own ones come later
    _strip(report.__cause__, seen)
    _strip(report.__context__, seen)


def flush_standard_streams() -> None:
    """Before a fork, or the child would print again what the parent still holds."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
