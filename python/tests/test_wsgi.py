"""PEP 3333: the environ, a request's body, files, errors, and the standard library's validator."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import tempfile
import warnings
from typing import Any, Callable
from wsgiref.validate import validator

from alicorn import protocol, wsgi

from .webside import Frame, environ_list
from .wsgi_case import TEXT, FakeLink, Start, WsgiCase, answer


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

    def test_exc_info_after_empty_blocks(self) -> None:
        def app(environ: Any, start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            yield b""
            try:
                raise ValueError
            except ValueError as error:
                start_response("503 Busy", TEXT, (ValueError, error, error.__traceback__))
            yield b"sorry"

        self.assertEqual(self.ask(app)[0].status, 503)

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
