"""--reload: watches the files of the loaded modules, and serves the traceback of an application that cannot be loaded.

inotify watches whole directories (an editor that saves by renaming makes a new file), through ctypes because the
standard library has no binding. Where it is not to be had, modification times are compared twice a second.
"""

from __future__ import annotations

import ctypes
import glob
import html
import os
import select
import struct
import sys
import threading
import time
from typing import Any, Callable, Iterable

_IN_MODIFY, _IN_CLOSE_WRITE, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x2, 0x8, 0x80, 0x100, 0x200
_IN_CLOEXEC = 0o2000000
_MASK = _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE
_event = struct.Struct("iIII")

# New modules may be imported at any time, by a request: how often to look for them, seconds.
LOOK_FOR_MODULES = 1.0
# An editor's save and a checkout are several events: wait until they pause, seconds.
SETTLE = 0.03
POLL = 0.5

_CLOCK_REALTIME_COARSE = 5


def file_time() -> int:
    """Nanoseconds: what a file that is saved now is dated at the least; up to a tick ago (kernels differ in that)."""
    try:
        return time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    except OSError:
        return time.time_ns()


class Watched:
    """Which files count: those of loaded modules, those named, and Python files beside them in the app's folder.

    Made before the application is imported, so that a save in the middle of that is noticed.
    """

    def __init__(self, folder: str, extra: Iterable[str]) -> None:
        self.folder = os.path.realpath(folder)
        self.files: set[str] = set()
        self._modules = 0
        self._since = file_time()
        extra = list(extra)
        # Patterns may have more files later on.
        self._patterns = [name for name in extra if glob.has_magic(name)]
        self.add(name for name in extra if name not in self._patterns)
        self._add_matching()
        # Compiled files are known by size and whole second: of two saves in one second Python would run the first.
        sys.dont_write_bytecode = True

    def add(self, files: Iterable[str]) -> None:
        for name in files:
            if name and not name.startswith("<"):
                self.files.add(os.path.realpath(name))

    def _add_matching(self) -> bool:
        before = len(self.files)
        for pattern in self._patterns:
            self.add(glob.glob(pattern, recursive=True))
        return len(self.files) > before

    def add_modules(self) -> bool:
        """True if modules have been loaded, or files have begun to match a pattern, since the last call."""
        more = self._add_matching()
        if len(sys.modules) == self._modules:
            return more
        modules = list(sys.modules.values())
        self._modules = len(modules)
        self.add(getattr(module, "__file__", None) or "" for module in modules)
        return True

    def folders(self) -> set[str]:
        return {os.path.dirname(name) for name in self.files} | {self.folder}

    def counts(self, path: str) -> bool:
        """A file of the application that is not loaded counts too: it may be the one whose absence is the error."""
        if path in self.files:
            return True
        return path.endswith(".py") and path.startswith(self.folder + os.sep) and "site-packages" not in path

    def changed_early(self, times: dict[str, int] | None = None) -> str | None:
        """A file that was saved after the beginning, but before we listened: its old text may have been imported.
        `times`: when each was saved; they are looked up without."""
        found = self.times() if times is None else times
        now = time.time_ns()  # what is dated later was not saved now, and would make us start again and again
        return next((name for name, saved in found.items() if self._since <= saved <= now), None)

    def times(self) -> dict[str, int]:
        """When each was saved, nanoseconds; 0: it is not there."""
        found = {}
        names = set(self.files)
        try:
            names.update(os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(".py"))
        except OSError:
            pass
        for name in names:
            try:
                found[name] = os.stat(name).st_mtime_ns
            except OSError:
                found[name] = 0
        return found


class Inotify:
    """The kernel's notices about directories."""

    def __init__(self) -> None:
        """Raises OSError or AttributeError where there is no inotify."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(_IN_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._folders: dict[int, str] = {}
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)

    def watch(self, folders: Iterable[str]) -> None:
        known = set(self._folders.values())
        for folder in folders:
            if folder not in known:
                number = self._libc.inotify_add_watch(self.fd, os.fsencode(folder), _MASK)
                if number >= 0:
                    self._folders[number] = folder

    def wait(self, timeout: float) -> list[str]:
        """Paths on which something happened."""
        if not self._poll.poll(timeout * 1000):
            return []
        data = os.read(self.fd, 65536)
        paths = []
        at = 0
        while at < len(data):
            number, _, _, size = _event.unpack_from(data, at)
            name = data[at + _event.size : at + _event.size + size].rstrip(b"\0")
            at += _event.size + size
            paths.append(os.path.join(self._folders.get(number, ""), os.fsdecode(name)))
        return paths


class Reloader(threading.Thread):
    """Calls `changed` once with the name of the first file that was saved, then ends: the worker is replaced."""

    def __init__(self, watched: Watched, changed: Callable[[str], None], engine: str = "auto") -> None:
        """`engine`: auto, inotify or poll."""
        super().__init__(name="alicorn-reloader", daemon=True)
        self._watched = watched
        self._changed = changed
        self._engine = engine

    def run(self) -> None:
        try:
            if self._engine == "poll":
                raise OSError
            inotify = Inotify()
        except (OSError, AttributeError):
            self._changed(self._poll_times())
            return
        self._changed(self._listen(inotify))

    def _listen(self, inotify: Inotify) -> str:
        watched = self._watched
        watched.add_modules()
        inotify.watch(watched.folders())
        early = watched.changed_early()
        if early:
            return early
        while True:
            for path in inotify.wait(LOOK_FOR_MODULES):
                if watched.counts(path):
                    for _ in range(10):
                        if not inotify.wait(SETTLE):
                            break
                    return path
            if watched.add_modules():
                inotify.watch(watched.folders())
                early = watched.changed_early()
                if early:
                    return early

    def _poll_times(self) -> str:
        watched = self._watched
        watched.add_modules()
        before = watched.times()
        early = watched.changed_early(before)
        while not early:
            time.sleep(POLL)
            more = watched.add_modules()
            now = watched.times()
            for name, saved in now.items():
                if before.get(name, saved if name in watched.files else None) != saved:
                    return name
            # What has just been imported was not looked at before.
            early = watched.changed_early(now) if more else None
            before = now
        return early


def failure_page(message: str) -> Callable[..., Any]:
    """An application that answers everything with the traceback. For development only: it shows source lines."""
    page = (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>The application could not be loaded</title>\n"
        "<style>body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em}"
        "pre{background:#f4f4f4;padding:1em;overflow:auto}</style>\n"
        "<h1>The application could not be loaded</h1>\n"
        f"<pre>{html.escape(message)}</pre>\n"
        "<p>Save a correction, and this page goes away.</p>\n</html>\n"
    ).encode("utf-8", "backslashreplace")

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page)))]
        start_response("500 Internal Server Error", [*headers, ("Cache-Control", "no-store")])
        return [page]

    return answer
