"""The WSGI applications of the benchmark cases, standard library only: one callable per case, nothing shared but constants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

HELLO = b"Hello, World!"
BODY_10K = b"x" * 10_240
TEXT = ("Content-Type", "text/plain; charset=utf-8")
HELLO_HEADERS = [TEXT, ("Content-Length", str(len(HELLO)))]
BODY_10K_HEADERS = [TEXT, ("Content-Length", str(len(BODY_10K)))]

SLOW_SECONDS = 0.3
FAST_SECONDS = 0.0001

DOWNLOAD_BLOCK = b"d" * 65_536
DOWNLOAD_BLOCKS = 64  # 4 MiB: more than the kernel's socket buffers take, so that the server has to keep the rest somewhere.


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """13 bytes, at once."""
    start_response("200 OK", HELLO_HEADERS)
    return [HELLO]


def body10k(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """10 KB, at once."""
    start_response("200 OK", BODY_10K_HEADERS)
    return [BODY_10K]


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The request's body."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def wait(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """13 bytes after 10 ms of waiting, as for a database."""
    time.sleep(0.01)
    start_response("200 OK", HELLO_HEADERS)
    return [HELLO]


def mixed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """/slow waits 300 ms, everything else computes for 0.1 ms."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(SLOW_SECONDS)
    else:
        until = time.perf_counter() + FAST_SECONDS
        while time.perf_counter() < until:
            pass
    start_response("200 OK", HELLO_HEADERS)
    return [HELLO]


def _blocks() -> Iterator[bytes]:
    for _ in range(DOWNLOAD_BLOCKS):
        yield DOWNLOAD_BLOCK


def transfers(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """/download streams 4 MiB, /upload reads the body and says its length, everything else is hello."""
    path = environ["PATH_INFO"]
    if path == "/download":
        start_response("200 OK", [TEXT, ("Content-Length", str(len(DOWNLOAD_BLOCK) * DOWNLOAD_BLOCKS))])
        return _blocks()
    if path == "/upload":
        read = environ["wsgi.input"].read
        total = 0
        while block := read(65_536):
            total += len(block)
        body = str(total).encode()
        start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
        return [body]
    return hello(environ, start_response)
