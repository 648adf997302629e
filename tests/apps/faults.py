"""Applications that break PEP 3333, HTTP or simply down. The word "confidential" must never reach a client."""

import sys

TEXT = [("Content-Type", "text/plain")]


class Blocks:
    """Runs `steps` (bytes are blocks, callables are called); its close() shows in the log."""

    def __init__(self, environ, *steps):
        self.steps = iter(steps)
        self.errors = environ["wsgi.errors"]
        self.path = environ["PATH_INFO"]

    def __iter__(self):
        return self

    def __next__(self):
        step = next(self.steps)
        return step() if callable(step) else step

    def close(self):
        self.errors.write(f"closed {self.path}\n")


def fail():
    raise RuntimeError("confidential")


def starting(headers, *steps, status="200 OK"):
    """A route that starts so and then yields these steps."""

    def route(environ, start_response):
        start_response(status, headers)
        return Blocks(environ, *steps)

    return route


def listing(headers, *blocks, status="200 OK"):
    def route(environ, start_response):
        start_response(status, headers)
        return list(blocks)

    return route


def at_once(environ, start_response):
    fail()


def after_start(environ, start_response):
    start_response("200 OK", [*TEXT, ("X-Secret", "confidential")])
    fail()


def exc_info_after_head(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"first"
    try:
        fail()
    except RuntimeError:
        start_response("500 Internal Server Error", TEXT, sys.exc_info())
    yield b"never"


def started_twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b"confidential"]


def never_started(environ, start_response):
    return [b"confidential"]


def never_started_generator(environ, start_response):
    yield b"confidential"


def returns_none(environ, start_response):
    start_response("200 OK", TEXT)


def sys_exit(environ, start_response):
    sys.exit(3)


def write_too_long(environ, start_response):
    write = start_response("200 OK", [*TEXT, ("Content-Length", "5")])
    write(b"abc")
    write(b"defgh")
    return [b"ijk"]


def write_text(environ, start_response):
    start_response("200 OK", TEXT)("confidential")
    return []


class FailingClose(Blocks):
    def close(self):
        super().close()
        raise RuntimeError("confidential: close failed")


def failing_close(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    return FailingClose(environ, b"fine")


def length(n):
    return [*TEXT, ("Content-Length", str(n))]


routes = {
    "/at-once": at_once,
    "/after-start": after_start,
    "/in-first-block": starting(TEXT, fail),
    "/after-first-block": starting(TEXT, b"first", fail),
    "/after-first-block-measured": starting(length(100), b"first", fail),
    "/exc-info-after-head": exc_info_after_head,
    "/started-twice": started_twice,
    "/never-started": never_started,
    "/never-started-generator": never_started_generator,
    "/returns-none": returns_none,
    "/sys-exit": sys_exit,
    "/text-block": starting(TEXT, "confidential"),
    "/text-in-list": listing(TEXT, "confidential"),
    "/write-text": write_text,
    # Content-Length that is not the body's.
    "/too-long": listing(length(5), b"abcdefgh"),
    "/too-long-generator": starting(length(5), b"abc", b"defgh", b"ijk"),
    "/write-too-long": write_too_long,
    "/too-short": listing(length(50), b"abc"),
    "/too-short-generator": starting(length(50), b"abc", b"def"),
    "/nothing-of-50": starting(length(50)),
    # Heads that must not leave.
    "/crlf-value": listing([*TEXT, ("X-Bad", "a\r\nX-Injected: confidential")], b"x"),
    "/lf-value": listing([*TEXT, ("X-Bad", "a\nX-Injected: confidential")], b"x"),
    "/cr-value": listing([*TEXT, ("X-Bad", "a\rX-Injected: confidential")], b"x"),
    "/nul-value": listing([*TEXT, ("X-Bad", "confidential\0")], b"x"),
    "/wide-value": listing([*TEXT, ("X-Bad", "confidential \u2192")], b"x"),
    "/bytes-value": listing([*TEXT, ("X-Bad", b"confidential")], b"x"),
    "/crlf-name": listing([*TEXT, ("X-Bad\r\nX-Injected", "confidential")], b"x"),
    "/space-in-name": listing([*TEXT, ("X Bad", "confidential")], b"x"),
    "/empty-name": listing([*TEXT, ("", "confidential")], b"x"),
    "/crlf-status": listing(TEXT, b"x", status="200 OK\r\nX-Injected: confidential"),
    "/status-number": listing(TEXT, b"x", status=200),
    "/status-word": listing(TEXT, b"x", status="confidential"),
    "/status-interim": listing(TEXT, b"confidential", status="100 Continue"),
    "/two-lengths": listing([*length(1), ("Content-Length", "1")], b"x"),
    "/length-word": listing([*TEXT, ("Content-Length", "many")], b"confidential"),
    "/length-negative": listing([*TEXT, ("Content-Length", "-1")], b"confidential"),
    # Not the application's to say.
    "/hop-by-hop": listing(
        [
            *TEXT,
            ("Connection", "close"),
            ("Keep-Alive", "timeout=1"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "tea"),
            ("Server", "somebody else"),
            ("Date", "yesterday"),
        ],
        b"still one message",
    ),
    # Bodies where there may be none.
    "/body-of-204": listing(TEXT, b"confidential", status="204 No Content"),
    "/body-of-304": listing(TEXT, b"confidential", status="304 Not Modified"),
    "/body-of-204-generator": starting(length(12), b"confidential", status="204 No Content"),
    "/failing-close": failing_close,
    "/fine": listing(TEXT, b"fine"),
}


def app(environ, start_response):
    return routes[environ["PATH_INFO"]](environ, start_response)
