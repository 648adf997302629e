"""Says what it was given: the environ as JSON, and what it has read of the body."""

import hashlib
import json
import os
from wsgiref.validate import validator


def _shown(value):
    if isinstance(value, (str, bool)):
        return value
    return list(value) if isinstance(value, tuple) else f"<{type(value).__name__}>"


def _report(environ, start_response):
    found = {key: _shown(value) for key, value in environ.items()}
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


def _read(environ, start_response):
    """The body, read in the way that the path says."""
    stream = environ["wsgi.input"]
    way = environ["PATH_INFO"]
    if way == "/read/size":
        parts = []
        while True:
            part = stream.read(3)
            if not part:
                break
            parts.append(part)
    elif way == "/read/readline":
        parts = list(iter(stream.readline, b""))
    elif way == "/read/readlines":
        parts = stream.readlines()
    elif way == "/read/iterate":
        parts = list(stream)
    elif way == "/read/length":
        parts = [stream.read(int(environ.get("CONTENT_LENGTH") or 0))]
    elif way == "/read/past-the-end":
        parts = [stream.read(1 << 20), stream.read(1), stream.readline()]
    elif way == "/read/all":  # not through the validator: PEP 3333 knows read() with a size only
        parts = [stream.read()]
    else:
        parts = []
    body = json.dumps(
        {
            "length": environ.get("CONTENT_LENGTH"),
            "encoding": environ.get("HTTP_TRANSFER_ENCODING"),
            "parts": [part.decode("latin-1") for part in parts],
        }
    ).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


def _hash(environ, start_response):
    """Digest and size of a body of any size."""
    digest, size = hashlib.sha256(), 0
    stream = environ["wsgi.input"]
    while True:
        block = stream.read(65536)
        if not block:
            break
        digest.update(block)
        size += len(block)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{size} {environ.get('CONTENT_LENGTH')} {digest.hexdigest()}".encode()]


def plain(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/read/"):
        return _read(environ, start_response)
    if path == "/hash":
        return _hash(environ, start_response)
    if path == "/pid":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
    return _report(environ, start_response)


app = validator(plain)
