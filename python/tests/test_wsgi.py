"""PEP 3333 semantics, with a link that is a list: what an application does, and which frames come of it."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import tempfile
import unittest
import warnings
from typing import Any, Callable
from wsgiref.validate import validator

from alicorn import heads, protocol, response, wsgi
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


class Whole(WsgiCase):
    def test_hello(self) -> None:
        frame = self.only(self.ask(answer(b"hello")))
        self.assertEqual(frame.head, ["OK", "Content-Type", "text/plain", "Content-Length", "5"])
        self.assertEqual(frame.body, b"hello")
        self.assertEqual(self.log_text, "")

    def test_leaves_with_the_batch(self) -> None:
        base = wsgi.base_environ(self.log, 1, 1, "x")
        wsgi.Gateway(answer(b"hello"), base, self.log).serve(self.link, 7, 0, environ_list(), b"")
        self.assertEqual((self.link.sent, len(self.link.out)), ([], 1))

    def test_blocks_of_a_list_and_of_a_tuple_are_joined(self) -> None:
        for kind in (list, tuple):
            self.link = FakeLink(self.log)
            frame = self.only(self.ask(answer(b"a", b"", b"bc", as_type=kind)))
            self.assertEqual((frame.body, frame.headers["Content-Length"]), (b"abc", "3"))

    def test_no_blocks(self) -> None:
        self.assertEqual(self.only(self.ask(answer())).headers["Content-Length"], "0")

    def test_own_length_is_kept_as_it_was_written(self) -> None:
        frame = self.only(self.ask(answer(b"hello", headers=[("content-length", "5")])))
        self.assertEqual(frame.head, ["OK", "content-length", "5"])

    def test_too_long_is_cut_and_logged(self) -> None:
        frame = self.only(self.ask(answer(b"hello", headers=[("Content-Length", "2")])))
        self.assertEqual(frame.body, b"he")
        self.assertIn("Content-Length is 2, but the body has 5 bytes", self.log_text)

    def test_too_short_is_an_error(self) -> None:
        self.assert_failed(self.ask(answer(b"hello", headers=[("Content-Length", "9")])), "Content-Length is 9")

    def test_large_body_goes_in_blocks_with_credit(self) -> None:
        body = os.urandom(700_000)

        def grant(response: Any) -> None:
            response.granted += 200_000

        self.link.when_waiting = grant
        frames = self.ask(answer(body))
        self.assertEqual(frames[0].headers["Content-Length"], "700000")
        self.assertEqual(self.kinds(frames)[0], protocol.HEAD)
        self.assertEqual(self.kinds(frames)[-1], protocol.END)
        self.assertEqual(set(self.kinds(frames)[1:-1]), {protocol.BODY})
        self.assertEqual(b"".join(frame.body for frame in frames[1:-1]), body)
        self.assertLessEqual(max(len(frame.body) for frame in frames), response.BLOCK_BYTES)
        self.assertEqual(self.link.waits, 3)

    def test_never_more_in_flight_than_the_credit(self) -> None:
        self.link.when_waiting = lambda response: setattr(response, "granted", response.granted + 10)
        frames = self.ask(answer(bytes(300_000)))
        at_wait = sum(len(frame.body) for frame in frames[1:-1] if len(frame.body) > 10)
        self.assertEqual(at_wait, protocol.INITIAL_CREDIT)


class NoBody(WsgiCase):
    def test_head(self) -> None:
        frame = self.only(self.ask(answer(b"hello"), method="HEAD"))
        self.assertEqual((frame.body, frame.headers["Content-Length"]), (b"", "5"))

    def test_head_with_no_blocks_says_nothing_about_the_length(self) -> None:
        self.assertNotIn("Content-Length", self.only(self.ask(answer(), method="HEAD")).headers)

    def test_head_keeps_the_applications_length(self) -> None:
        frame = self.only(self.ask(answer(headers=[("Content-Length", "99")]), method="HEAD"))
        self.assertEqual(frame.headers["Content-Length"], "99")

    def test_head_of_a_large_body(self) -> None:
        frame = self.only(self.ask(answer(bytes(1_000_000)), method="HEAD"))
        self.assertEqual((frame.body, frame.headers["Content-Length"]), (b"", "1000000"))

    def test_head_of_an_endless_stream_ends_after_the_first_block(self) -> None:
        closed = []

        def endless() -> Any:
            try:
                while True:
                    yield b"x"
            finally:
                closed.append(True)

        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            return endless()

        frame = self.only(self.ask(app, method="HEAD"))
        self.assertEqual((frame.body, closed), (b"", [True]))

    def test_204_has_neither_body_nor_length(self) -> None:
        for blocks in ((), (b"hello",)):
            self.link = FakeLink(self.log)
            app = answer(*blocks, status="204 No Content", headers=[("Content-Length", "5"), ("X", "y")])
            frame = self.only(self.ask(app), 204)
            self.assertEqual((frame.body, frame.head), (b"", ["No Content", "X", "y"]))

    def test_304_keeps_its_length(self) -> None:
        for as_type in (list, iter):
            self.link = FakeLink(self.log)
            app = answer(b"x", status="304 Not Modified", headers=[("Content-Length", "5")], as_type=as_type)
            frame = self.only(self.ask(app), 304)
            self.assertEqual((frame.body, frame.headers), (b"", {"Content-Length": "5"}))


class Streams(WsgiCase):
    def test_each_block_leaves_at_once_and_head_waits_for_the_first(self) -> None:
        seen = []

        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            yield b""
            seen.append(len(self.link.sent))
            yield b"one"
            seen.append(len(self.link.sent))
            yield b"two"
            seen.append(len(self.link.sent))

        frames = self.ask(app)
        self.assertEqual(self.kinds(frames), [protocol.HEAD, protocol.BODY, protocol.BODY, protocol.END])
        self.assertEqual([frame.body for frame in frames[1:3]], [b"one", b"two"])
        self.assertEqual(seen, [0, 1, 2])
        self.assertNotIn("Content-Length", frames[0].headers)

    def test_start_response_may_come_with_the_first_block(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("201 Created", TEXT)
            yield b"x"

        self.assertEqual(self.ask(app)[0].status, 201)

    def test_empty_iterable(self) -> None:
        frame = self.only(self.ask(answer(as_type=iter)))
        self.assertEqual(frame.headers["Content-Length"], "0")

    def test_one_block_of_the_announced_length_is_a_whole_response_before_close(self) -> None:
        sent_at_close = []

        class Blocks:
            def __iter__(self) -> Any:
                return iter([b"hello"])

            def close(_) -> None:
                sent_at_close.append(len(self.link.sent))

        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", [("Content-Length", "5")])
            return Blocks()

        self.assertEqual(self.only(self.ask(app)).body, b"hello")
        self.assertEqual(sent_at_close, [1])

    def test_too_long_is_cut_and_logged_once(self) -> None:
        app = answer(b"hello", b"more", b"and more", headers=[("Content-Length", "7")], as_type=iter)
        frames = self.ask(app)
        self.assertEqual(b"".join(frame.body for frame in frames if frame.kind == protocol.BODY), b"hellomo")
        self.assertEqual(frames[-1].kind, protocol.END)
        self.assertEqual(self.log_text.count("longer than its Content-Length of 7"), 1)

    def test_blocks_after_a_whole_response_are_logged(self) -> None:
        app = answer(b"hello", b"more", headers=[("Content-Length", "5")], as_type=iter)
        self.assertEqual(self.only(self.ask(app)).body, b"hello")
        self.assertIn("longer than its Content-Length of 5", self.log_text)

    def test_too_short_is_aborted(self) -> None:
        frames = self.ask(answer(b"hello", headers=[("Content-Length", "9")], as_type=iter))
        self.assertEqual(self.kinds(frames), [protocol.HEAD, protocol.BODY, protocol.ABORT])
        self.assertIn("ended after 5 bytes", self.log_text)

    def test_nothing_of_an_announced_length_is_an_error(self) -> None:
        self.assert_failed(self.ask(answer(headers=[("Content-Length", "9")], as_type=iter)), "Content-Length is 9")

    def test_error_after_the_head_aborts(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            yield b"x"
            raise ValueError("in the middle")

        frames = self.ask(app)
        self.assertEqual(self.kinds(frames), [protocol.HEAD, protocol.BODY, protocol.ABORT])
        self.assertIn("ValueError: in the middle", self.log_text)

    def test_cancelled_stops_at_the_next_block_and_closes(self) -> None:
        events = []

        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            try:
                for number in range(100):
                    events.append(number)
                    yield b"x"
            except GeneratorExit:
                events.append("closed")
                raise

        self.link.looks_until_cancel = 3
        frames = self.ask(app)
        self.assertEqual(self.kinds(frames), [protocol.HEAD, protocol.BODY, protocol.BODY, protocol.ABORT])
        self.assertEqual(events, [0, 1, 2, "closed"])
        self.assertEqual(self.log_text, "")

    def test_write(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            write = start_response("200 OK", TEXT)
            write(b"one")
            self.assertEqual(len(self.link.sent), 1)
            write(b"two")
            return [b"three"]

        frames = self.ask(app)
        self.assertEqual(self.kinds(frames), [protocol.HEAD, *[protocol.BODY] * 3, protocol.END])
        self.assertEqual(b"".join(frame.body for frame in frames[1:-1]), b"onetwothree")

    def test_write_of_nothing_else(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)(b"all")
            return []

        self.assertEqual(self.kinds(self.ask(app)), [protocol.HEAD, protocol.BODY, protocol.END])


class Errors(WsgiCase):
    def test_before_the_head(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            raise KeyError("secret")

        self.assert_failed(self.ask(app), "KeyError: 'secret'")
        self.assertNotIn("alicorn/wsgi.py", self.log_text)
        self.assertIn("test_wsgi.py", self.log_text)

    def test_after_start_response(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", [("Set-Cookie", "a=b")])
            raise ValueError("late")

        frame = self.only(self.ask(app), 500)
        self.assertNotIn("Set-Cookie", frame.headers)

    def test_head_request_gets_no_body(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            raise ValueError

        self.assertEqual(self.only(self.ask(app, method="HEAD"), 500).body, b"")

    def test_sys_exit_is_an_error_of_that_request(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            raise SystemExit(3)

        self.assert_failed(self.ask(app), "SystemExit: 3")

    def test_no_start_response(self) -> None:
        for result in ([], [b"x"], iter([]), iter([b"x"])):
            with self.subTest(result):
                self.link = FakeLink(self.log)
                self.only(self.ask(lambda *_, r=result: r), 500)

    def test_not_iterable(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", [])

        self.assert_failed(self.ask(app), "NoneType")

    def test_only_bytes(self) -> None:
        for block in ("text", bytearray(b"x"), memoryview(b"x"), None, 5):
            for as_type in (list, iter):
                with self.subTest(block=block, as_type=as_type):
                    self.link = FakeLink(self.log)
                    self.only(self.ask(answer(block, as_type=as_type)), 500)
                    self.link = FakeLink(self.log)
                    self.only(self.ask(answer(b"fine", block)), 500)

    def test_start_response_twice(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            start_response("200 OK", TEXT)
            return [b""]

        self.assert_failed(self.ask(app), "a second time")

    def test_exc_info_replaces_a_head_that_has_not_left(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            try:
                raise ValueError
            except ValueError as error:
                start_response("503 Busy", [("X", "y")], (ValueError, error, error.__traceback__))
            return [b"sorry"]

        frame = self.only(self.ask(app), 503)
        self.assertEqual(frame.head, ["Busy", "X", "y", "Content-Length", "5"])

    def test_exc_info_is_raised_when_the_head_has_left(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            yield b"x"
            try:
                raise ValueError("original")
            except ValueError as error:
                start_response("500 Oops", TEXT, (ValueError, error, error.__traceback__))
            yield b"never"

        frames = self.ask(app)
        self.assertEqual(self.kinds(frames), [protocol.HEAD, protocol.BODY, protocol.ABORT])
        self.assertIn("ValueError: original", self.log_text)

    def test_close_is_always_called(self) -> None:
        class Blocks:
            closed = 0

            def __init__(self, *blocks: Any) -> None:
                self.blocks = iter(blocks)

            def __iter__(self) -> Any:
                return self

            def __next__(self) -> Any:
                return next(self.blocks)

            def close(self) -> None:
                Blocks.closed += 1

        for blocks in ((b"x",), (), ("text",), (b"x", 5)):
            with self.subTest(blocks):
                Blocks.closed = 0
                self.link = FakeLink(self.log)
                self.ask(answer(*blocks, as_type=lambda blocks: Blocks(*blocks)))
                self.assertEqual(Blocks.closed, 1)

    def test_close_that_fails_after_the_response(self) -> None:
        class Blocks(list):
            def close(self) -> None:
                raise ValueError("in close")

        frames = self.ask(answer(b"x", as_type=Blocks))
        self.assertEqual(self.kinds(frames), [protocol.HEAD, protocol.BODY, protocol.END])
        self.assertIn("ValueError: in close", self.log_text)


class Heads(WsgiCase):
    def setUp(self) -> None:
        super().setUp()
        heads._heads.clear()

    def refuse(self, reason: str, status: Any = "200 OK", headers: Any = ()) -> None:
        self.link = FakeLink(self.log)
        self.assert_failed(self.ask(answer(b"x", status=status, headers=headers)), reason)

    def test_not_the_applications(self) -> None:
        names = ("Connection", "keep-alive", "Transfer-Encoding", "UPGRADE", "Server", "Date", "TE", "Trailers")
        frame = self.only(self.ask(answer(b"x", headers=[*((name, "x") for name in names), ("X-Ok", "1")])))
        self.assertEqual(frame.head, ["OK", "X-Ok", "1", "Content-Length", "1"])

    def test_repeated_fields_keep_their_order(self) -> None:
        frame = self.only(self.ask(answer(b"", headers=[("Set-Cookie", "a"), ("X", "1"), ("Set-Cookie", "b")])))
        self.assertEqual(frame.head[1:7], ["Set-Cookie", "a", "X", "1", "Set-Cookie", "b"])

    def test_values(self) -> None:
        frame = self.only(self.ask(answer(b"", headers=[("X", "tab\there \xe9\xff"), ("Empty", "")])))
        self.assertEqual(frame.head[1:5], ["X", "tab\there \xe9\xff", "Empty", ""])

    def test_bad_values(self) -> None:
        for value in ("a\nb", "a\r\nSet-Cookie: x", "\0", "\x7f", "\x1b", "€"):
            with self.subTest(value):
                self.refuse("forbidden character in the value of header X", headers=[("Y", "fine"), ("X", value)])

    def test_bad_names(self) -> None:
        for name in ("", "a b", "a:", "a\n", "\xe9", "(x)"):
            with self.subTest(name):
                self.refuse("is not a token", headers=[(name, "x")])

    def test_wrong_types(self) -> None:
        self.refuse("must be a str", headers=[("X", 5)])
        self.refuse("must be a str", headers=[("X", b"x")])
        self.refuse("must be a str", headers=[(b"X", "x")])
        self.refuse("status must be", status=200)
        self.refuse("status must be", status=b"200 OK")

    def test_status(self) -> None:
        self.assertEqual(self.only(self.ask(answer(status="299 Fine by me")), 299).head[0], "Fine by me")
        self.link = FakeLink(self.log)
        self.assertEqual(self.only(self.ask(answer(status="200"))).head[0], "")
        for status in ("", "OK", "20 OK", "2000 OK", "-20 OK", "100 Continue", "200 O\nK", "٢٠٠ OK"):
            with self.subTest(status):
                self.refuse("status", status=status)

    def test_content_length(self) -> None:
        for value in ("", "-1", "1 ", "x", "+1", "1_0"):
            with self.subTest(value):
                self.refuse("Content-Length is", headers=[("Content-Length", value)])
        self.refuse("given twice", headers=[("Content-Length", "1"), ("content-length", "1")])

    def test_a_remembered_head_is_the_same(self) -> None:
        app = answer(b"x", headers=[("X", "1")])
        first = self.only(self.ask(app))
        self.link = FakeLink(self.log)
        self.assertEqual(self.only(self.ask(app)), first)

    def test_headers_changed_later_do_not_matter(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            headers = [("X", "1")]
            start_response("200 OK", headers)
            headers.append(("Y", "2"))
            return [b""]

        self.assertNotIn("Y", self.only(self.ask(app)).headers)

    def test_memory_of_heads_is_bounded(self) -> None:
        for number in range(2000):
            heads.cached_head("200 OK", [("X", str(number)), (f"X-{number}", "")])
        self.assertLessEqual(len(heads._heads), 512)
        self.assertLessEqual(len(heads._kinds), 512)


class Environ(WsgiCase):
    def seen(self, **arguments: Any) -> dict[str, Any]:
        environs: list[dict[str, Any]] = []

        def app(environ: Any, start_response: Start) -> Any:
            environs.append(environ)
            start_response("200 OK", TEXT)
            return [environ["wsgi.input"].read()]

        self.only(self.ask(app, **arguments))
        return environs[0]

    def test_keys(self) -> None:
        environ = self.seen(path="/a/caf\xc3\xa9")
        expected = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input_terminated": True,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": wsgi.FileWrapper,
            "SCRIPT_NAME": "",
            "PATH_INFO": "/a/caf\xc3\xa9",
            "SERVER_SOFTWARE": "alicorn/test",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1:8000",
        }
        self.assertEqual({key: environ[key] for key in expected}, expected)

    def test_path_with_a_line_feed(self) -> None:
        environ = self.seen(path="/a%0Ab%25c\xff", flags=protocol.PATH_ENCODED)
        self.assertEqual(environ["PATH_INFO"], "/a\nb%c\xff")

    def test_each_request_has_its_own(self) -> None:
        self.seen()["X"] = 1
        self.link = FakeLink(self.log)
        self.assertNotIn("X", self.seen())

    def test_script_name(self) -> None:
        self.environ = {"SCRIPT_NAME": "/app"}
        self.assertEqual(self.seen(path="/app/x")["PATH_INFO"], "/x")
        self.link = FakeLink(self.log)
        self.assertEqual(self.seen(path="/app")["PATH_INFO"], "")
        for path in ("/", "/apple"):
            self.link = FakeLink(self.log)
            self.assert_failed(self.ask(answer(b""), path=path), "is not below SCRIPT_NAME")

    def test_errors(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            print("one line", file=environ["wsgi.errors"])
            environ["wsgi.errors"].writelines(["a", "b\n"])
            environ["wsgi.errors"].write("unfinished é")
            environ["wsgi.errors"].flush()
            start_response("200 OK", TEXT)
            return [b""]

        self.ask(app)
        self.assertEqual(self.log_text, "one line\nab\nunfinished é")


class Input(WsgiCase):
    def reading(self, read: Callable[[Any], Any], body: bytes) -> None:
        """The same from memory and from a file."""
        results = []

        def app(environ: Any, start_response: Start) -> Any:
            results.append(read(environ["wsgi.input"]))
            start_response("200 OK", TEXT)
            return [b""]

        path = os.path.join(self.folder.name, "body")
        with open(path, "wb") as file:
            file.write(body)
        self.ask(app, body=body)
        self.ask(app, body=path.encode(), flags=protocol.BODY_IN_FILE)
        self.assertEqual(len(results), 2, self.log_text)
        self.assertEqual(results[0], results[1])
        self.result = results[0]

    def test_ways_to_read(self) -> None:
        body = b"first\nsecond\n\nlast"
        for read, expected in (
            (lambda i: i.read(), body),
            (lambda i: i.read(-1), body),
            (lambda i: i.read(None), body),
            (lambda i: i.read(3) + i.read(0) + i.read(100) + i.read(5), body),
            (
                lambda i: [i.readline(), i.readline(3), i.readline(-1), i.read()],
                [b"first\n", b"sec", b"ond\n", b"\nlast"],
            ),
            (lambda i: i.readlines(), [b"first\n", b"second\n", b"\n", b"last"]),
            (lambda i: list(i), [b"first\n", b"second\n", b"\n", b"last"]),
            (lambda i: (i.read(), i.read(), i.readline(), list(i)), (body, b"", b"", [])),
        ):
            self.reading(read, body)
            self.assertEqual(self.result, expected)

    def test_no_body(self) -> None:
        results = []

        def app(environ: Any, start_response: Start) -> Any:
            results.append(
                (environ["wsgi.input"].read(), environ["wsgi.input"].readline(), environ.get("CONTENT_LENGTH"))
            )
            start_response("200 OK", TEXT)
            return [b""]

        self.ask(app)
        self.assertEqual(results, [(b"", b"", None)])

    def test_file_is_closed_afterwards(self) -> None:
        kept = []
        path = os.path.join(self.folder.name, "body")
        with open(path, "wb") as file:
            file.write(b"x")
        self.ask(lambda e, s: kept.append(e["wsgi.input"]) or answer(b"")(e, s), body=path.encode(), flags=1)
        self.assertTrue(kept[0].closed)

    def test_file_that_is_gone(self) -> None:
        base = wsgi.base_environ(self.log, 1, 1, "x")
        wsgi.Gateway(answer(b""), base, self.log).serve(self.link, 7, 1, environ_list(), b"/nowhere/body")
        self.assert_failed(self.link.frames, "FileNotFoundError")


class Files(WsgiCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = os.path.join(self.folder.name, "file")
        self.content = os.urandom(100_000)
        with open(self.path, "wb") as file:
            file.write(self.content)
        self.file: Any = None

    def wrapped(self, opened: Callable[[], Any], headers: Any = TEXT, **arguments: Any) -> list[Frame]:
        def app(environ: Any, start_response: Start) -> Any:
            self.file = opened()
            start_response("200 OK", list(headers))
            return environ["wsgi.file_wrapper"](self.file, 4096)

        return self.ask(app, **arguments)

    def part(self, frames: list[Frame]) -> bytes:
        """What a web worker would read."""
        self.assertEqual(self.kinds(frames), [protocol.HEAD, protocol.FILE], self.log_text)
        payload = frames[1].payload
        offset, length = (int.from_bytes(payload[at : at + 8], "little") for at in (0, 8))
        held = self.link.files[7]
        self.assertEqual(payload[16:].decode(), f"/proc/{os.getpid()}/fd/{held}")
        with open(payload[16:], "rb") as file:
            file.seek(offset)
            data = file.read(length)
        os.close(held)
        return data

    def test_whole(self) -> None:
        frames = self.wrapped(lambda: open(self.path, "rb"))
        self.assertEqual(self.part(frames), self.content)
        self.assertEqual(frames[0].headers["Content-Length"], "100000")
        self.assertTrue(self.file.closed)

    def test_from_where_it_stands(self) -> None:
        def opened() -> Any:
            file = open(self.path, "rb")
            file.read(10)
            return file

        frames = self.wrapped(opened)
        self.assertEqual(self.part(frames), self.content[10:])
        self.assertEqual(frames[0].headers["Content-Length"], "99990")

    def test_only_as_much_as_announced(self) -> None:
        frames = self.wrapped(lambda: open(self.path, "rb"), headers=[("Content-Length", "5")])
        self.assertEqual(self.part(frames), self.content[:5])

    def test_unbuffered_and_temporary(self) -> None:
        def temporary() -> Any:
            file = tempfile.NamedTemporaryFile(dir=self.folder.name)
            file.write(self.content)
            file.seek(0)
            return file

        for opened in (lambda: open(self.path, "rb", buffering=0), temporary):
            self.link = FakeLink(self.log)
            self.assertEqual(self.part(self.wrapped(opened)), self.content)

    def test_shorter_than_announced(self) -> None:
        frames = self.wrapped(lambda: open(self.path, "rb"), headers=[("Content-Length", "100001")])
        self.assert_failed(frames, "Content-Length is 100001")
        self.assertTrue(self.file.closed)

    def test_head(self) -> None:
        frame = self.only(self.wrapped(lambda: open(self.path, "rb"), method="HEAD"))
        self.assertEqual((frame.headers["Content-Length"], frame.body, self.link.files), ("100000", b"", {}))

    def test_what_is_no_regular_file_is_read(self) -> None:
        import gzip

        zipped = self.path + ".gz"
        with gzip.open(zipped, "wb") as file:
            file.write(self.content[:9000])
        for opened in (lambda: io.BytesIO(self.content[:9000]), lambda: gzip.open(zipped)):
            self.link = FakeLink(self.log)
            frames = self.wrapped(opened)
            self.assertEqual(self.kinds(frames), [protocol.HEAD, *[protocol.BODY] * 3, protocol.END])
            self.assertEqual(b"".join(frame.body for frame in frames[1:-1]), self.content[:9000])
            self.assertTrue(self.file.closed)

    def test_pipe(self) -> None:
        def opened() -> Any:
            read, write = os.pipe()
            os.write(write, b"through a pipe")
            os.close(write)
            return os.fdopen(read, "rb")

        frames = self.wrapped(opened)
        self.assertEqual((self.kinds(frames)[1], frames[1].body), (protocol.BODY, b"through a pipe"))

    def test_empty(self) -> None:
        open(self.path, "wb").close()
        frame = self.only(self.wrapped(lambda: open(self.path, "rb")))
        self.assertEqual(frame.headers["Content-Length"], "0")


class Validated(WsgiCase):
    """wsgiref's validator between us and applications of all kinds stays silent."""

    def test_silent(self) -> None:
        def writes(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", list(TEXT))(b"written")
            return [b"and returned"]

        def reads(environ: Any, start_response: Start) -> Any:
            source = environ["wsgi.input"]
            data = [source.read(2), source.readline(), *source.readlines(), *source]
            start_response("200 OK", [*TEXT, ("Content-Length", "5")])
            print("fine", file=environ["wsgi.errors"])
            return [b"".join(data)]

        def streams(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", list(TEXT))
            return (b"x" * size for size in range(5))

        def wraps(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", list(TEXT))
            return environ["wsgi.file_wrapper"](io.BytesIO(b"wrapped"))

        def empty(environ: Any, start_response: Start) -> Any:
            start_response("204 No Content", [])
            return []

        for app in (answer(b"hello"), writes, reads, streams, wraps, empty):
            for method in ("GET", "POST", "HEAD"):
                with self.subTest(app=app, method=method), warnings.catch_warnings():
                    warnings.simplefilter("error")
                    self.link = FakeLink(self.log)
                    body = b"a\nb\nc" if method == "POST" or app is reads else b""
                    with contextlib.redirect_stderr(io.StringIO()) as said:
                        frames = self.ask(validator(app), method=method, body=body)
                        gc.collect()  # an iterator that was not closed complains when it is collected
                    self.assertEqual(said.getvalue(), "")
                    self.assertNotEqual(frames[0].status, 500, self.log_text)
                    self.assertNotIn("Traceback", self.log_text)
