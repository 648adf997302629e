"""Streams, files and waiting: the test decides with named pipes when they go on. What has been closed is in the log."""

import hashlib
import io
import os
import tempfile
from urllib.parse import parse_qs
from wsgiref.validate import validator

TEXT = [("Content-Type", "application/octet-stream")]
MIB = 1 << 20


def query(environ):
    return {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}


def wait(environ):
    path = query(environ)["gate"]
    environ["wsgi.errors"].write(f"waiting at {path}\n")
    with open(path, "rb", 0) as gate:
        gate.read(1)


class Stream:
    """The blocks of a generator; close() says in the log how many bytes it gave, and their digest."""

    def __init__(self, environ, blocks):
        self.blocks = blocks
        self.errors = environ["wsgi.errors"]
        self.path = environ["PATH_INFO"]
        self.given = 0
        self.digest = hashlib.sha256()

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.blocks)
        self.given += len(block)
        self.digest.update(block)
        return block

    def close(self):
        self.blocks.close()
        self.errors.write(f"closed {self.path} {self.given} {self.digest.hexdigest()}\n")


def gate(environ, start_response):
    """Three blocks, with a gate before the second and the third."""

    def blocks():
        yield b"first"
        wait(environ)
        yield b"second"
        wait(environ)
        yield b"third"

    start_response("200 OK", TEXT)
    return Stream(environ, blocks())


def measured_gate(environ, start_response):
    """The same with a length, where nothing is chunked."""

    def blocks():
        yield b"first"
        wait(environ)
        yield b"second"

    start_response("200 OK", [*TEXT, ("Content-Length", "11")])
    return Stream(environ, blocks())


def write_gate(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"first")
    wait(environ)
    write(b"second")
    wait(environ)
    return [b"third"]


def late(environ, start_response):
    """Nothing at all before the gate."""
    wait(environ)
    start_response("200 OK", TEXT)
    return Stream(environ, (block for block in (b"late", b"r")))


def endless(environ, start_response):
    def blocks():
        block = bytes(65536)
        while True:
            yield block

    start_response("200 OK", TEXT)
    return Stream(environ, blocks())


def swallowing(environ, start_response):
    """Catches what it can, and goes on writing to a client that may have gone."""

    def blocks():
        while True:
            try:
                yield bytes(65536)
            except Exception:
                continue

    start_response("200 OK", TEXT)
    return Stream(environ, blocks())


def big(environ, start_response):
    """`mib` MiB of random bytes in blocks of `block` bytes."""
    size = int(query(environ)["mib"]) * MIB
    block = int(query(environ).get("block", "65536"))

    def blocks():
        for _ in range(size // block):
            yield os.urandom(block)

    start_response("200 OK", TEXT)
    return Stream(environ, blocks())


def big_list(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"x" * 1_000_000, b"y" * 1_000_000]


class File:
    """A file object that says when it is closed."""

    def __init__(self, environ, file):
        self.file = file
        self.errors = environ["wsgi.errors"]
        self.path = environ["PATH_INFO"]

    def read(self, *size):
        return self.file.read(*size)

    def tell(self):
        return self.file.tell()

    def close(self):
        self.file.close()
        self.errors.write(f"closed {self.path}\n")


def file(environ, start_response):
    """A file from `offset` on, `length` bytes if there is one."""
    asked = query(environ)
    opened = open(asked["path"], "rb", *([0] if "unbuffered" in asked else []))
    opened.seek(int(asked.get("offset", "0")))
    if "read" in asked:  # reading ahead in the buffer must not move the beginning
        opened.read(int(asked["read"]))
    length = [("Content-Length", asked["length"])] if "length" in asked else []
    start_response(asked.get("status", "200 OK"), [*TEXT, *length])
    return environ["wsgi.file_wrapper"](File(environ, opened), 8192)


def file_plain(environ, start_response):
    """The file object itself, with nothing around it."""
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](open(query(environ)["path"], "rb"))


def file_unlinked(environ, start_response):
    """A temporary file without a name."""
    opened = tempfile.TemporaryFile()
    opened.write(b"abc" * 100_000)
    opened.seek(3)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](opened)


def file_in_memory(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"abc" * 100_000), 1000)


def pipe(environ, start_response):
    """A file object with a descriptor that cannot be mapped, sought or measured."""
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](os.fdopen(reading, "rb"))


def drain(environ, start_response):
    """Reads an upload of any size."""
    digest, size = hashlib.sha256(), 0
    while True:
        block = environ["wsgi.input"].read(65536)
        if not block:
            break
        digest.update(block)
        size += len(block)
    start_response("200 OK", TEXT)
    return [f"{size} {digest.hexdigest()}".encode()]


def quick(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"quick"]


routes = {
    "/gate": gate,
    "/measured-gate": measured_gate,
    "/write-gate": write_gate,
    "/late": late,
    "/endless": endless,
    "/swallowing": swallowing,
    "/big": big,
    "/big-list": big_list,
    "/file": file,
    "/file-plain": file_plain,
    "/file-unlinked": file_unlinked,
    "/file-in-memory": file_in_memory,
    "/pipe": pipe,
    "/drain": drain,
    "/quick": quick,
}


def plain(environ, start_response):
    return routes[environ["PATH_INFO"]](environ, start_response)


app = validator(plain)
