"""Plays the master and the web workers for tests and benchmarks: scoreboard, sockets, frames, control channel."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, NamedTuple

from alicorn import protocol
from alicorn.scoreboard import HEADER_BYTES, SLOT_BYTES, VERSION, Scoreboard

PACKAGE = os.path.dirname(os.path.abspath(protocol.__file__))
SECRET = "00112233445566778899aabbccddeeff"
# Generous: it only ends tests that hang.
PATIENCE = 20.0
_header = struct.Struct("<IBBHI")


class Frame(NamedTuple):
    kind: int
    ident: int
    status: int
    flags: int
    payload: bytes

    @property
    def head(self) -> list[str]:
        """Reason, names and values of a RESPONSE or HEAD."""
        raw = self.payload
        if self.kind == protocol.RESPONSE:
            raw = raw[4 : 4 + int.from_bytes(raw[:4], "little")]
        return raw.decode("latin-1").split("\n")

    @property
    def headers(self) -> dict[str, str]:
        fields = iter(self.head[1:])
        return dict(zip(fields, fields))

    @property
    def body(self) -> bytes:
        if self.kind != protocol.RESPONSE:
            return self.payload
        return self.payload[4 + int.from_bytes(self.payload[:4], "little") :]


def split_frames(data: bytes) -> tuple[list[Frame], bytes]:
    """Whole frames of either side, and the rest."""
    frames = []
    at = 0
    while len(data) - at >= 12:
        length, kind, flags, status, ident = _header.unpack_from(data, at)
        if len(data) - at - 12 < length:
            break
        frames.append(Frame(kind, ident, status, flags, data[at + 12 : at + 12 + length]))
        at += 12 + length
    return frames, data[at:]


def environ_list(method: str = "GET", path: str = "/", query: str = "", **more: str) -> str:
    fields = {
        "REQUEST_METHOD": method,
        "RAW_URI": path + (f"?{query}" if query else ""),
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "41234",
        "HTTP_HOST": "127.0.0.1:8000",
        **more,
    }
    return "\n".join(f"{key}\n{value}" for key, value in fields.items())


def request(ident: int, environ: str, body: bytes = b"", flags: int = 0) -> bytes:
    text = environ.encode("latin-1")
    payload = struct.pack("<I", len(text)) + text + body
    return _header.pack(len(payload), protocol.REQUEST, flags, 0, ident) + payload


def control(kind: int, ident: int = 0, payload: bytes = b"") -> bytes:
    return _header.pack(len(payload), kind, 0, 0, ident) + payload


def credit(ident: int, count: int) -> bytes:
    return control(protocol.CREDIT, ident, struct.pack("<I", count))


class LinkEnd:
    """The web worker's end of one link."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self._rest = b""
        self._frames: list[Frame] = []

    def send(self, *frames: bytes) -> None:
        self.sock.sendall(b"".join(frames))

    def next(self) -> Frame:
        while not self._frames:
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError("the worker has closed the link")
            self._frames, self._rest = split_frames(self._rest + data)
        return self._frames.pop(0)

    def get(self, ident: int, environ: str | None = None, body: bytes = b"") -> Frame:
        self.send(request(ident, environ or environ_list(), body))
        return self.next()

    def ended(self) -> bool:
        """Waits for the end of the link."""
        try:
            while self.sock.recv(1 << 20):
                pass
        except OSError:
            pass
        return True

    def close(self) -> None:
        self.sock.close()


def until(condition: Callable[[], Any], otherwise: Callable[[], str] = lambda: "it never came true") -> None:
    """For what changes without an event to wait for: shared memory and files."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise())
        select.select([], [], [], 0.002)


def make_board(slots: int, web_workers: int) -> int:
    fd = os.memfd_create("alicorn-test-board")
    os.truncate(fd, HEADER_BYTES + slots * SLOT_BYTES)
    memory = mmap.mmap(fd, 0)
    memory[:12] = struct.pack("=iii", VERSION, slots, web_workers)
    return fd


class Master:
    """Starts an arbiter as the master does, and answers as the web workers do."""

    def __init__(
        self, source: str, *, app: str = "app:app", web_workers: int = 1, slots: int = 8, **settings: Any
    ) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="alicorn-test-")
        self.write("app.py", source)
        self.errorlog = os.path.join(self.folder.name, "error.log")
        board_fd = make_board(slots, web_workers)
        self.board = Scoreboard(board_fd)
        self.listeners = [self._listener() for _ in range(web_workers)]
        self.links: list[LinkEnd] = []
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(PATIENCE)
        self._rest = b""
        self._reports: list[dict[str, Any]] = []
        self.process = self._spawn(board_fd, theirs)
        os.close(board_fd)
        theirs.close()
        start = {
            "type": "start",
            "app": app,
            "generation": 1,
            "slots": [0, slots],
            "links": [sock.getsockname()[1:].decode() for sock in self.listeners],
            "secret": SECRET,
            "workers": 1,
            "threads": 1,
            "timeout": 30,
            "graceful_timeout": 10,
            "chdir": self.folder.name,
            "errorlog": self.errorlog,
            "server_software": "alicorn/test",
            "a field of the future": True,
            **settings,
        }
        self.say(start)

    def _spawn(self, board_fd: int, theirs: socket.socket) -> subprocess.Popen[bytes]:
        channel_fd = theirs.fileno()

        def place_descriptors() -> None:
            # By way of high numbers: either may be where the other has to go.
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (board_fd, channel_fd)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 9)

        return subprocess.Popen(
            [sys.executable, PACKAGE],
            env={**os.environ, "NODE_CHANNEL_FD": "9", "NODE_CHANNEL_SERIALIZATION_MODE": "json"},
            stdin=subprocess.DEVNULL,
            pass_fds=(3, 9),
            preexec_fn=place_descriptors,
        )

    def _listener(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(f"\0alicorn-test-{os.getpid()}-{os.urandom(8).hex()}")
        sock.listen(64)
        sock.settimeout(PATIENCE)
        return sock

    def write(self, name: str, source: str) -> str:
        """As a careful editor does: a new file that takes the old one's place."""
        path = os.path.join(self.folder.name, name)
        with open(path + "~", "w") as file:
            file.write(source)
        os.replace(path + "~", path)
        return path

    # the control channel

    def say(self, message: dict[str, Any]) -> None:
        self.channel.sendall(json.dumps(message).encode() + b"\n")

    def report(self, kind: str) -> dict[str, Any]:
        """The next report of this type; others before it are passed over."""
        while True:
            while self._reports:
                report = self._reports.pop(0)
                if report["type"] == kind:
                    return report
            data = self.channel.recv(65536)
            if not data:
                raise EOFError(f"the arbiter has closed the channel; log:\n{self.log()}")
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._reports += [json.loads(line) for line in lines]

    # the links

    def link(self, web_worker: int = 0) -> LinkEnd:
        """The next worker's link, its HELLO taken and checked."""
        sock, _ = self.listeners[web_worker].accept()
        end = LinkEnd(sock)
        self.links.append(end)
        hello = end.next()
        if hello.kind != protocol.HELLO or hello.payload[:16].hex() != SECRET:
            raise AssertionError(f"not a HELLO: {hello}")
        end.slot, end.pid = struct.unpack("<II", hello.payload[16:])
        return end

    # the log

    def log(self) -> str:
        try:
            with open(self.errorlog) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def logged(self, text: str) -> str:
        """Waits until the log contains the text."""
        until(lambda: text in self.log(), lambda: f"{text!r} is not in the log:\n{self.log()}")
        return self.log()

    # the end

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        for sock in (self.channel, *self.listeners, *self.links):
            sock.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.folder.cleanup()

    def __enter__(self) -> Master:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
