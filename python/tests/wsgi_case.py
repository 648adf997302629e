"""A link that is a list, and a test case that runs one request through the gateway."""

from __future__ import annotations

import os
import tempfile
import unittest
from typing import Any, Callable

from alicorn import protocol, wsgi
from alicorn.log import Log
from alicorn.response import Cancelled

from .webside import Frame, environ_list, split_frames

Start = Callable[..., Callable[[bytes], None]]
TEXT = [("Content-Type", "text/plain")]


class FakeLink:
    """Takes frames, and the order in which they were sent: `sent` has one entry per flush."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.out: list[bytes] = []
        self.push = self.out.append
        self.sent: list[list[Frame]] = []
        self.files: dict[int, int] = {}
        self.waits = 0
        # What the web worker does each time the response waits for credit.
        self.when_waiting: Callable[[Any], None] = self._give_up
        self.looks_until_cancel = -1

    def flush(self) -> None:
        if self.out:
            self.sent.append(split_frames(b"".join(self.out))[0])
            self.out.clear()

    def send(self, data: bytes) -> None:
        self.push(data)
        self.flush()

    def look(self, _: Any) -> None:
        self.looks_until_cancel -= 1
        if self.looks_until_cancel == 0:
            raise Cancelled

    def wait_for_credit(self, response: Any) -> None:
        self.waits += 1
        self.when_waiting(response)

    @staticmethod
    def _give_up(_: Any) -> None:
        raise AssertionError("no credit left")

    def begin_stream(self, _: Any) -> None:
        pass

    def end_stream(self, _: Any) -> None:
        pass

    def hold_file(self, ident: int, fd: int) -> None:
        self.files[ident] = fd

    @property
    def frames(self) -> list[Frame]:
        self.flush()
        return [frame for batch in self.sent for frame in batch]


class WsgiCase(unittest.TestCase):
    """`ask` runs one request; `self.log_text` is what was logged."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.log = Log(os.path.join(self.folder.name, "log"))
        self.addCleanup(os.close, self.log.fd)
        self.link = FakeLink(self.log)
        self.environ: dict[str, str] = {}

    def ask(self, app: Any, *, method: str = "GET", path: str = "/", body: bytes = b"", flags: int = 0) -> list[Frame]:
        base = wsgi.base_environ(self.log, 1, 2, "alicorn/test")
        base.update(self.environ)
        size = os.path.getsize(body) if flags & protocol.BODY_IN_FILE else len(body)
        more = {"CONTENT_LENGTH": str(size)} if body else {}
        text = environ_list(method, path, CONTENT_TYPE="text/plain", **more)
        wsgi.Gateway(app, base, self.log).serve(self.link, 7, flags, text, body)
        return self.link.frames

    def only(self, frames: list[Frame], status: int = 200) -> Frame:
        """The one RESPONSE."""
        self.assertEqual([(frame.kind, frame.status) for frame in frames], [(protocol.RESPONSE, status)])
        return frames[0]

    def kinds(self, frames: list[Frame]) -> list[int]:
        return [frame.kind for frame in frames]

    @property
    def log_text(self) -> str:
        with open(self.log.path) as file:
            return file.read()

    def assert_failed(self, frames: list[Frame], reason: str) -> None:
        """Answered 500 without details, which are in the log."""
        frame = self.only(frames, 500)
        self.assertNotIn(reason.encode(), frame.body)
        self.assertIn(reason, self.log_text)
        self.assertIn("Error handling request GET /", self.log_text)


def answer(*blocks: Any, status: str = "200 OK", headers: Any = TEXT, as_type: Any = list) -> Callable[..., Any]:
    def app(environ: dict[str, Any], start_response: Start) -> Any:
        start_response(status, list(headers))
        return as_type(blocks)

    return app
