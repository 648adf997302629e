"""Well-behaved responses in every form that PEP 3333 knows; the validator around them has nothing to say."""

import sys
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain")]


class Blocks:
    """An iterable whose close() shows in the log."""

    def __init__(self, environ, *blocks):
        self.blocks = iter(blocks)
        self.errors = environ["wsgi.errors"]
        self.path = environ["PATH_INFO"]

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.blocks)

    def close(self):
        self.errors.write(f"closed {self.path}\n")


def whole(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one block"]


def parts(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one, ", b"", b"two"]


def as_tuple(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"one, ", b"two")


def nothing(environ, start_response):
    start_response("200 OK", TEXT)
    return []


def generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"one, "
    yield b""
    yield b"two"


def measured(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "8")])
    yield b"one, "
    yield b"two"


def late_start(environ, start_response):
    """A generator function's body runs when the server asks for the first block: start_response comes only then."""

    def blocks():
        start_response("201 Created", TEXT)
        yield b"late"

    return blocks()


def iterator(environ, start_response):
    start_response("200 OK", TEXT)
    return Blocks(environ, b"one, ", b"two")


def closed_unread(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "8")])
    return Blocks(environ, b"one, ", b"two")


def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written, ")
    write(b"twice, ")
    return [b"returned"]


def written_measured(environ, start_response):
    write = start_response("200 OK", [*TEXT, ("Content-Length", "7")])
    write(b"written")
    return []


def changed_mind(environ, start_response):
    """An error before anything has left: start_response again, with exc_info."""
    start_response("200 OK", [*TEXT, ("X-First", "yes"), ("Content-Length", "1000")])
    try:
        raise ValueError("noticed in time")
    except ValueError:
        start_response("503 Service Unavailable", [*TEXT, ("X-Second", "yes")], sys.exc_info())
    return [b"sorry"]


def changed_mind_in_generator(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        yield b""
        raise ValueError("noticed in time")
    except ValueError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    yield b"sorry"


def no_content(environ, start_response):
    start_response("204 No Content", [("X-Extra", "kept")])
    return []


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"1"')])
    return []


def own_reason(environ, start_response):
    start_response("299 Rather Special", TEXT)
    return [b"special"]


def fields(environ, start_response):
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2"),
            ("X-Latin", "caf\xe9"),
            ("X-Empty", ""),
            ("x-lOwEr", "as given"),
        ],
    )
    return [b"fields"]


def log(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("a line \u2192 of the application\n")
    errors.writelines(["and ", "another\n"])
    errors.write("without an end")
    errors.flush()
    start_response("200 OK", TEXT)
    return [b"logged"]


def echo(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", TEXT)
    return [body]


routes = {
    "/whole": whole,
    "/parts": parts,
    "/tuple": as_tuple,
    "/nothing": nothing,
    "/generator": generator,
    "/measured": measured,
    "/late-start": late_start,
    "/iterator": iterator,
    "/closed-unread": closed_unread,
    "/written": written,
    "/written-measured": written_measured,
    "/changed-mind": changed_mind,
    "/changed-mind-in-generator": changed_mind_in_generator,
    "/no-content": no_content,
    "/not-modified": not_modified,
    "/own-reason": own_reason,
    "/fields": fields,
    "/log": log,
    "/echo": echo,
}


def plain(environ, start_response):
    return routes[environ["PATH_INFO"]](environ, start_response)


app = validator(plain)
