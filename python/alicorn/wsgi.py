"""WSGI (PEP 3333) between the frames: environ, start_response, the body in, the body out.

Knows no socket: a `Link` (worker.py, threads.py) takes the bytes of frames and hands out credit. Everything that
happens once per request is written for speed; the measure is python/tests/bench_hello.py.
"""

from __future__ import annotations

import io
import os
import re
import stat
from typing import Any, Callable, Iterable

from . import protocol
from .log import ErrorStream, Log, short_traceback

# Above this, a body that is known at once is sent in blocks all the same: a frame is held in memory as a whole.
WHOLE_BYTES = 262_144
# Of one BODY frame. Smaller than the credit, so that sending and granting overlap.
BLOCK_BYTES = 65_536

NO_BODY = (204, 304)


class Cancelled(BaseException):
    """Nobody waits for the response any more. Not an Exception, so that the application's own `except` lets it pass."""


# --- heads -----------------------------------------------------------------------------------------------------

_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch  # RFC 9110 5.6.2
_forbidden_in_value = re.compile("[^\t\x20-\x7e\x80-\xff]").search  # RFC 9110 5.5; also excludes what latin-1 cannot say
_forbidden_in_head = re.compile("[^\t\n\x20-\x7e\x80-\xff]").search
# What is not the application's to say on this connection (RFC 9110 7.6.1, PEP 3333 "Other HTTP Features"), and
# what the web worker says itself. The same list as Gunicorn's.
_not_the_applications = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding",
    "upgrade", "server", "date",
}  # fmt: skip
_KEEP, _DROP, _LENGTH = 1, 2, 3
# Names seen and found good. Bounded, because an application may make names up.
_kinds: dict[str, int] = {}
_statuses: dict[str, tuple[int, str]] = {}
# Whole heads: an application that repeats a head exactly has it encoded once. Ten times cheaper than encoding it.
_heads: dict[tuple, tuple[int, bytes, int | None]] = {}
_cache_entries = 512
_cached_head_bytes = 1024


def encode_head(status: str, headers: list[tuple[str, str]]) -> tuple[int, bytes, int | None]:
    """Checks a head and makes the protocol's head list: status code, list, the application's Content-Length."""
    code, reason = (isinstance(status, str) and _statuses.get(status)) or _parse_status(status)
    parts = [reason]
    length = None
    for name, value in headers:
        kind = _kinds.get(name) or _classify(name)
        if kind == _KEEP:
            parts += name, value
        elif kind == _LENGTH:
            length = _parse_length(value, length)
            if code != 204:  # RFC 9110 8.6
                parts += name, value
    try:
        text = "\n".join(parts)
    except TypeError:
        text = "\0"
    # One regex for all values; a line feed inside a value shows in the count.
    if _forbidden_in_head(text) or text.count("\n") != len(parts) - 1:
        _explain(headers)
    return code, text.encode("latin-1"), length


def cached_head(status: str, headers: list[tuple[str, str]]) -> tuple[int, bytes, int | None]:
    headers = headers if type(headers) is list else list(headers)
    key = (status, *headers)
    try:
        found = _heads.get(key)
    except TypeError:  # pairs that are lists
        return encode_head(status, headers)
    if found is None:
        found = encode_head(status, headers)
        if len(found[1]) <= _cached_head_bytes:
            if len(_heads) >= _cache_entries:
                _heads.clear()
            _heads[key] = found
    return found


def _parse_status(status: str) -> tuple[int, str]:
    if not isinstance(status, str):
        raise TypeError(f"status must be a str like '200 OK', not {status!r}")
    code, _, reason = status.partition(" ")
    if len(code) != 3 or not (code.isascii() and code.isdigit()):
        raise ValueError(f"status must be three digits, a space and a reason, like '200 OK', not {status!r}")
    if int(code) < 200:
        raise ValueError(f"{status!r} is an interim status: the application's answer is the final one")
    if _forbidden_in_value(reason):
        raise ValueError(f"forbidden character in status {status!r}")
    parsed = int(code), reason.strip()
    if len(_statuses) < _cache_entries:
        _statuses[status] = parsed
    return parsed


def _classify(name: str) -> int:
    if not isinstance(name, str):
        raise TypeError(f"header name must be a str, not {name!r}")
    if not _token(name):
        raise ValueError(f"header name {name!r} is not a token")
    lower = name.lower()
    kind = _LENGTH if lower == "content-length" else _DROP if lower in _not_the_applications else _KEEP
    if len(_kinds) < _cache_entries:
        _kinds[name] = kind
    return kind


def _parse_length(value: str, before: int | None) -> int:
    if not isinstance(value, str):
        raise TypeError(f"value of header Content-Length must be a str, not {value!r}")
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"Content-Length is {value!r}")
    if before is not None:
        raise ValueError("Content-Length given twice")
    return int(value)


def _explain(headers: list[tuple[str, str]]) -> None:
    """Finds out which value is bad, after a check of all together has said that one is."""
    for name, value in headers:
        if not isinstance(value, str):
            raise TypeError(f"value of header {name} must be a str, not {value!r}")
        if _forbidden_in_value(value):
            raise ValueError(f"forbidden character in the value of header {name}: {value!r}")
    raise ValueError("forbidden character in the response's head")


# --- the response ----------------------------------------------------------------------------------------------

# Where a response stands. NEW: nothing from the application yet; STARTED: start_response was called; STREAMING:
# HEAD has left; COMPLETE: all has left that ever will (or the response was given up).
NEW, STARTED, STREAMING, COMPLETE = range(4)


class Response:
    """One response on its way out. Given to the link while it streams, so that credit and cancellation find it."""

    __slots__ = (
        "cancelled", "event", "excess", "granted", "head", "ident", "is_head", "length", "link", "phase", "sent",
        "status",
    )  # fmt: skip

    def __init__(self, link: Any, ident: int, is_head: bool) -> None:
        self.link = link
        self.ident = ident
        self.is_head = is_head
        self.phase = NEW
        self.excess = False
        # The other attributes are set when they come to have a meaning: most responses are over before.

    # What the application calls.

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """start_response."""
        phase = self.phase
        if exc_info is not None:
            try:
                if phase >= STREAMING:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # PEP 3333: no reference cycle through the traceback
        elif phase != NEW:
            raise AssertionError("start_response was called a second time without exc_info")
        self.status, self.head, self.length = cached_head(status, headers)
        self.phase = STARTED
        return self.write

    def write(self, block: bytes) -> None:
        """What start_response returns: PEP 3333's way out for applications that cannot be iterated."""
        if not isinstance(block, bytes):
            raise TypeError(f"write() takes bytes, not {type(block).__name__}")
        if self.phase == STARTED:
            self.begin()
        self.send(block)

    # What the gateway calls.

    def whole(self, body: bytes) -> None:
        """The response in one frame, which leaves with the batch."""
        head, length, size = self.head, self.length, len(body)
        if length is None:
            if self.status in NO_BODY:
                body = b""
            elif size or not self.is_head:  # to HEAD an application may well give no body, though GET has one
                head += b"\nContent-Length\n%d" % size
        elif length != size:
            body = self._fit(body, length)
        if self.is_head or self.status in NO_BODY:
            body = b""
        self.phase = COMPLETE
        self.link.push(protocol.response(self.ident, self.status, head, body))

    def _fit(self, body: bytes, length: int) -> bytes:
        """The body has not the length that the application has announced."""
        if self.is_head or self.status in NO_BODY:
            return b""
        if len(body) < length:
            raise LengthError(f"Content-Length is {length}, but the body has {len(body)} bytes")
        self.link.log.error(f"Content-Length is {length}, but the body has {len(body)} bytes: cut")
        return body[:length]

    def begin(self) -> None:
        """HEAD, held back until the first block so that start_response may still be called again (PEP 3333)."""
        if self.is_head or self.status in NO_BODY:
            self.whole(b"")
            return
        self.sent = 0
        self.granted = protocol.INITIAL_CREDIT
        self.cancelled = False
        self.phase = STREAMING
        self.link.begin_stream(self)
        self.link.push(protocol.head(self.ident, self.status, self.head))

    def block(self, block: bytes) -> None:
        """One block that the application has yielded; it leaves at once."""
        phase = self.phase
        if phase == STARTED:
            if self.length == len(block) and self.length <= WHOLE_BYTES:
                self.whole(block)
                self.link.flush()
                return
            self.begin()
        elif phase == NEW:
            raise AssertionError("a block of the body before start_response was called")
        self.send(block)

    def send(self, block: bytes) -> None:
        """BODY frames at once, as the credit allows."""
        if self.phase == COMPLETE:
            self._excess(block)
            return
        size = len(block)
        if self.length is not None and self.sent + size > self.length:
            self._excess(block)
            size = self.length - self.sent
            block = block[:size]
        self.link.look(self)
        at = 0
        while at < size:
            room = self.granted - self.sent
            if room <= 0:
                self.link.wait_for_credit(self)
                continue
            n = min(size - at, room, BLOCK_BYTES)
            self.sent += n
            piece = block if n == size else memoryview(block)[at : at + n]
            self.link.send(protocol.body(self.ident, piece))
            at += n

    def _excess(self, block: bytes) -> None:
        """More body than there may be: dropped. Said once, and only where the application has miscounted."""
        if self.excess or not block or self.is_head or self.status in NO_BODY:
            return
        self.excess = True
        self.link.log.error(f"the body is longer than its Content-Length of {self.length}: cut")

    def finish(self) -> None:
        """The application has no more blocks."""
        phase = self.phase
        if phase == NEW:
            raise AssertionError("the application did not call start_response")
        if phase == STARTED:
            self.whole(b"")
        elif phase == STREAMING:
            if self.cancelled:
                raise Cancelled  # the application has swallowed the first one
            if self.length is not None and self.sent < self.length:
                raise LengthError(f"Content-Length is {self.length}, but the body ended after {self.sent} bytes")
            self.complete(protocol.end(self.ident))
        self.link.flush()

    def complete(self, last: bytes) -> None:
        """The last frame of a stream."""
        self.phase = COMPLETE
        self.link.end_stream(self)
        self.link.push(last)


class LengthError(Exception):
    """The body is shorter than the Content-Length that the application gave."""


# --- the request -----------------------------------------------------------------------------------------------


class FileWrapper:
    """`wsgi.file_wrapper`: a regular file that is returned in it is sent by the web worker."""

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block = self.filelike.read(self.blksize)
        if not block:
            raise StopIteration
        return block


def _part_of_file(filelike: Any) -> tuple[int, int, int] | None:
    """(fd, offset, bytes left) of a file object that yields exactly the bytes of a regular file; else None.

    Having a fileno() is not enough: a GzipFile has one too, and means other bytes.
    """
    raw = filelike
    for _ in range(3):  # a temporary file's and Django's wrappers hold the real one in `file`
        if isinstance(raw, (io.BufferedReader, io.BufferedRandom, io.FileIO)):
            break
        raw = getattr(raw, "file", None)
    else:
        return None
    if not isinstance(getattr(raw, "raw", raw), io.FileIO):
        return None
    try:
        fd = raw.fileno()
        status = os.fstat(fd)
        offset = filelike.tell()
    except (OSError, ValueError, AttributeError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return fd, offset, max(0, status.st_size - offset)


def base_environ(log: Log, threads: int, workers: int, server_software: str) -> dict[str, Any]:
    """What is the same in every request."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.input_terminated": True,
        "wsgi.errors": ErrorStream(log),
        "wsgi.multithread": threads > 1,
        "wsgi.multiprocess": workers > 1,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "SCRIPT_NAME": os.environ.get("SCRIPT_NAME", ""),
        "SERVER_SOFTWARE": server_software,
    }


class Gateway:
    """Runs the application, one request per call of `serve`."""

    def __init__(self, app: Callable[..., Iterable[bytes]], base: dict[str, Any], log: Log) -> None:
        self.app = app
        self.base = base
        self.log = log
        self.script_name = base["SCRIPT_NAME"]
        # Set by the worker when it must leave at once: then a SystemExit is its own, not the application's.
        self.quitting = False

    def serve(self, link: Any, ident: int, flags: int, text: str, body: bytes) -> None:
        """One REQUEST frame to the frames of its answer. Raises nothing but what ends the worker."""
        environ = self.base.copy()
        fields = iter(text.split("\n"))
        environ.update(zip(fields, fields))
        response = Response(link, ident, environ["REQUEST_METHOD"] == "HEAD")
        source = None
        try:
            if flags & protocol.BODY_IN_FILE:
                environ["wsgi.input"] = source = open(body, "rb")
            else:
                environ["wsgi.input"] = io.BytesIO(body)
            if self.script_name:
                _strip_script_name(environ, self.script_name)
            blocks = self.app(environ, response.start)
            kind = type(blocks)
            if (kind is list or kind is tuple) and response.phase == STARTED:
                self._whole(response, blocks)
            else:
                self._stream(response, blocks)
        except BaseException as error:
            self._failed(response, environ, error)
        finally:
            if source is not None:
                source.close()

    def _whole(self, response: Response, blocks: list[bytes]) -> None:
        if len(blocks) == 1:
            (body,) = blocks
            if type(body) is not bytes:
                _only_bytes(body)
        else:
            for block in blocks:
                _only_bytes(block)
            body = b"".join(blocks)
        if len(body) <= WHOLE_BYTES or response.is_head or response.status in NO_BODY:
            response.whole(body)
            return
        if response.length is None:
            response.length = len(body)
            response.head += b"\nContent-Length\n%d" % len(body)
        elif response.length != len(body):
            body = response._fit(body, response.length)
        response.block(body)
        response.finish()

    def _stream(self, response: Response, blocks: Iterable[bytes]) -> None:
        """An iterable of unknown length: each block leaves at once."""
        try:
            if type(blocks) is FileWrapper and response.phase == STARTED and self._send_file(response, blocks):
                return
            for block in blocks:
                if type(block) is not bytes:
                    _only_bytes(block)
                if block:
                    response.block(block)
                    if response.is_head:
                        break  # only the head was wanted; the rest may be long in the making
            response.finish()
        finally:
            self._close(response, blocks)

    def _close(self, response: Response, blocks: Iterable[bytes]) -> None:
        """PEP 3333: always called. When the response has left, its failure concerns the log only."""
        close = getattr(blocks, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception as error:
            if response.phase != COMPLETE:
                raise
            self.log.error(f"Error closing the response\n{short_traceback(error)}")

    def _send_file(self, response: Response, wrapper: FileWrapper) -> bool:
        """Hands a regular file to the web worker; False: it is none, iterate."""
        part = _part_of_file(wrapper.filelike)
        if part is None:
            return False
        fd, offset, left = part
        if left == 0:
            return False
        if response.length is None:
            if response.status not in NO_BODY:
                response.head += b"\nContent-Length\n%d" % left
                response.length = left
        elif left < response.length and not response.is_head:
            raise LengthError(f"Content-Length is {response.length}, but the file has {left} bytes left")
        response.begin()
        if response.phase == STREAMING:
            # Our own descriptor, so that the application may close its file now and the path stays good until OPENED.
            held = os.dup(fd)
            path = f"/proc/{os.getpid()}/fd/{held}"
            response.link.hold_file(response.ident, held)
            response.complete(protocol.file(response.ident, path, offset, min(left, response.length)))
        response.link.flush()
        return True

    # What goes wrong.

    def _failed(self, response: Response, environ: dict[str, Any], error: BaseException) -> None:
        if isinstance(error, Cancelled):
            self._give_up(response)
            return
        if self.quitting and isinstance(error, SystemExit):
            raise error
        # An application that calls sys.exit() loses this request; the worker stays (under Gunicorn it would go, and
        # with it, threaded, the other requests).
        target = environ.get("RAW_URI", environ.get("PATH_INFO"))
        self.log.error(
            f"Error handling request {environ.get('REQUEST_METHOD')} {target}\n{short_traceback(error)}"
        )
        if response.phase < STREAMING:
            response.status, response.head, response.length = 500, error_head, None
            response.whole(error_page)
        else:
            self._give_up(response)

    def _give_up(self, response: Response) -> None:
        if response.phase == STREAMING:
            response.complete(protocol.abort(response.ident))
            response.link.flush()
        response.phase = COMPLETE


error_head = b"Internal Server Error\nContent-Type\ntext/html; charset=utf-8"
error_page = (
    b"<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"
    b"<p>The application failed to answer this request.</p>\n</html>\n"
)


def _only_bytes(block: Any) -> None:
    if not isinstance(block, bytes):
        raise TypeError(f"the body must be made of bytes, not {type(block).__name__}")


def _strip_script_name(environ: dict[str, Any], prefix: str) -> None:
    """The environment says where the application is mounted: PATH_INFO begins below it."""
    path = environ["PATH_INFO"]
    if not (path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")):
        raise ValueError(f"path {path!r} is not below SCRIPT_NAME {prefix!r}")
    environ["PATH_INFO"] = path[len(prefix) :]
