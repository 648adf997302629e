"""WSGI (PEP 3333) between the frames: the environ, the application's call, its iterable, and what goes wrong with them.

The response is response.py's. Everything that happens once per request is written for speed; the measure is
python/tests/bench_hello.py.
"""

from __future__ import annotations

import io
import os
import stat
from functools import partial
from typing import Any, Callable, Iterable
from urllib.parse import unquote_to_bytes

from . import protocol
from .log import ErrorStream, Log, short_traceback
from .response import COMPLETE, NO_BODY, STARTED, STREAMING, WHOLE_BYTES, Cancelled, LengthError, Response


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
        # Applications get `wsgi.early_hints`. Gunicorn's expect it.
        self.hints = False
        # … and `alicorn.client_disconnected`.
        self.tells_disconnect = False
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
                environ["wsgi.input"] = source = open(body, "rb")  # noqa: SIM115
            else:
                environ["wsgi.input"] = io.BytesIO(body)
            if flags & protocol.PATH_ENCODED:
                environ["PATH_INFO"] = unquote_to_bytes(environ["PATH_INFO"].encode("latin-1")).decode("latin-1")
            if self.hints:
                environ["wsgi.early_hints"] = response.early_hints
            if self.tells_disconnect:
                link.begin_asking(ident)
                environ["alicorn.client_disconnected"] = partial(link.is_cancelled, ident)
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
            if self.tells_disconnect:
                link.end_asking(ident)

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
        self.log.error(f"Error handling request {environ.get('REQUEST_METHOD')} {target}\n{short_traceback(error)}")
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
