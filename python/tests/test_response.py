"""PEP 3333: responses. What an application does, and which frames come of it."""

from __future__ import annotations

import os
from typing import Any

from alicorn import heads, protocol, response, wsgi

from .webside import environ_list
from .wsgi_case import TEXT, FakeLink, Start, WsgiCase, answer


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
