"""Frames against the shared byte cases, cut at every position, and the refusal of what is none."""

from __future__ import annotations

import json
import os
import unittest
from typing import Any, NamedTuple

from alicorn import protocol

CASES = os.path.join(os.path.dirname(__file__), "../../tests/wire/worker-protocol.txt")
FROM_WEB_WORKER = ("REQUEST", "CREDIT", "CANCEL", "OPENED", "LAST", "POKE", "TAKE_BACK")


class Case(NamedTuple):
    name: str
    data: bytes
    says: dict[str, Any]


def cases() -> list[Case]:
    with open(CASES, encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file if not line.startswith("#")]
    lines = [line for line in lines if line]
    return [Case(*raw) for raw in zip(lines[::3], map(bytes.fromhex, lines[1::3]), map(json.loads, lines[2::3]))]


def decoded(says: dict[str, Any]) -> tuple:
    """What the decoder is to make of a case."""
    kind, ident = getattr(protocol, says["type"]), says.get("id", 0)
    if kind == protocol.REQUEST:
        body = says["path"].encode("latin-1") if "path" in says else bytes.fromhex(says["body"])
        return kind, ident, says.get("flags", 0), "\n".join(says["environ"]), body
    return (kind, ident, says["count"]) if kind == protocol.CREDIT else (kind, ident)


def encoded(says: dict[str, Any]) -> bytes:
    """The same case from the encoders."""
    ident, status = says.get("id", 0), says.get("status", 0)
    head = "\n".join(says.get("head", [])).encode("latin-1")
    body = bytes.fromhex(says.get("body", ""))
    encoders = {
        "HELLO": lambda: protocol.hello(bytes.fromhex(says["secret"]), says["slot"], says["pid"]),
        "RESPONSE": lambda: protocol.response(ident, status, head, body),
        "HEAD": lambda: protocol.head(ident, status, head),
        "BODY": lambda: protocol.body(ident, memoryview(body)),
        "END": lambda: protocol.end(ident),
        "FILE": lambda: protocol.file(ident, says["path"], says["offset"], says["length"]),
        "ABORT": lambda: protocol.abort(ident),
        "DRAINING": lambda: protocol.draining,
        "IDLE": lambda: protocol.idle,
        "RETURNED": lambda: protocol.returned(says["id"]),
        "HINTS": lambda: protocol.hints(says["id"], says["fields"].encode("latin-1")),
    }
    return encoders[says["type"]]()


class Decode(unittest.TestCase):
    def setUp(self) -> None:
        self.cases = [case for case in cases() if case.says["type"] in FROM_WEB_WORKER]
        self.data = b"".join(case.data for case in self.cases)
        self.expected = [decoded(case.says) for case in self.cases]

    def test_each_whole(self) -> None:
        for case in self.cases:
            with self.subTest(case.name):
                self.assertEqual(protocol.Decoder().feed(case.data), [decoded(case.says)])

    def test_each_with_the_next_one_begun(self) -> None:
        for case in self.cases:
            with self.subTest(case.name):
                decoder = protocol.Decoder()
                self.assertEqual(decoder.feed(case.data + self.data[:7]), [decoded(case.says)])
                self.assertEqual(decoder.feed(self.data[7:]), self.expected)

    def test_byte_by_byte(self) -> None:
        decoder = protocol.Decoder()
        frames = [frame for byte in self.data for frame in decoder.feed(bytes([byte]))]
        self.assertEqual(frames, self.expected)

    def test_cut_in_two_everywhere(self) -> None:
        for at in range(len(self.data)):
            decoder = protocol.Decoder()
            self.assertEqual(decoder.feed(self.data[:at]) + decoder.feed(self.data[at:]), self.expected)

    def test_a_large_body_in_small_pieces_takes_linear_time(self) -> None:
        body = os.urandom(4 << 20)
        data = self.cases[0].data[:0] + (4 + len(body)).to_bytes(4, "little") + b"\1\0\0\0\7\0\0\0" + bytes(4) + body
        decoder = protocol.Decoder()
        frames: list[tuple] = []
        for at in range(0, len(data), 1024):
            frames += decoder.feed(data[at : at + 1024])
        self.assertEqual(frames, [(protocol.REQUEST, 7, 0, "", body)])

    def test_what_is_no_frame(self) -> None:
        wrong = {
            "unknown type": b"\0\0\0\0\x63\0\0\0\0\0\0\0",
            "a worker's own frame": protocol.idle,
            "credit without a number": b"\0\0\0\0\2\0\0\0\1\0\0\0",
            "environ longer than the frame": b"\4\0\0\0\1\0\0\0\1\0\0\0\5\0\0\0",
            "absurd length": b"\xff\xff\xff\x7f\1\0\0\0\1\0\0\0\0\0\0\0",
        }
        for name, data in wrong.items():
            with self.subTest(name), self.assertRaises(protocol.FrameError):
                protocol.Decoder().feed(data)


class Encode(unittest.TestCase):
    def test_each(self) -> None:
        for case in cases():
            if case.says["type"] not in FROM_WEB_WORKER:
                with self.subTest(case.name):
                    self.assertEqual(encoded(case.says), case.data)

    def test_the_cases_cover_every_type(self) -> None:
        kinds = {case.says["type"] for case in cases()}
        table = {name for name, value in vars(protocol).items() if name.isupper() and value in range(1, 27)}
        self.assertEqual(kinds, table - {"BODY_IN_FILE", "PATH_ENCODED", "HEADER_BYTES"})
