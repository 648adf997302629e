"""A worker's loop, seen from the web workers' side: real processes, links in the abstract namespace."""

from __future__ import annotations

import os
import signal
import tempfile
import unittest
from typing import Any

from alicorn import protocol, scoreboard
from alicorn.protocol import (
    ABORT,
    BODY,
    CANCEL,
    DRAINING,
    END,
    FILE,
    HEAD,
    IDLE,
    LAST,
    OPENED,
    POKE,
    RESPONSE,
    RETURNED,
    TAKE_BACK,
)

from .webside import Master, control, credit, environ_list, request, until

# Paths choose what happens. `gate` files let a test hold a request without sleeping: opening a FIFO waits for the test.
APP = """
import os, signal, subprocess, sys, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/gate/"):
        with open(path[5:], "rb") as gate:  # waits for the test to open it for writing
            gate.read()
    if path == "/stream":
        start_response("200 OK", [])
        return stream(int(environ["QUERY_STRING"]), environ["wsgi.errors"])
    if path == "/file":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    if path == "/exit":
        sys.exit(5)
    if path == "/child":
        out = subprocess.run([sys.executable, "-c", "print('from a child')"], stdout=subprocess.PIPE, check=True).stdout
        start_response("200 OK", [])
        return [out]
    if path == "/env":
        names = {name: os.environ.get(name) for name in ("NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "EXTRA")}
        text = repr((os.getcwd(), sys.path[0], names, sorted(sys.modules), environ["wsgi.multithread"]))
        start_response("200 OK", [])
        return [text.encode()]
    if path == "/busy":
        print("busy", file=environ["wsgi.errors"])
        try:
            while True:
                time.sleep(0.01)
        finally:
            print("cleaned up", file=environ["wsgi.errors"])
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [path.encode() + body]

def stream(size, errors):
    try:
        while size > 0:
            block = b"x" * min(size, 100000)
            yield block
            size -= len(block)
    finally:
        print("stream closed", file=errors)
"""


class Gate:
    """A request for `path` waits until `open` is called; `entered` returns when it has begun to wait."""

    def __init__(self, test: unittest.TestCase) -> None:
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.fifo = os.path.join(folder.name, "fifo")
        os.mkfifo(self.fifo)
        self.path = "/gate" + self.fifo

    def entered(self) -> None:
        self.fd = os.open(self.fifo, os.O_WRONLY)  # waits for the reader

    def open(self) -> None:
        os.close(self.fd)


class Common:
    """With one thread and with several."""

    threads = 1

    def master(self, **settings: Any) -> Master:
        settings.setdefault("threads", self.threads)
        master = Master(APP, **settings)
        self.addCleanup(master.close)
        return master

    def test_hello(self) -> None:
        master = self.master()
        link = master.link()
        frame = link.get(1, environ_list(path="/hello"), b"body")
        self.assertEqual((frame.kind, frame.ident, frame.status, frame.body), (RESPONSE, 1, 200, b"/hellobody"))
        self.assertEqual(master.report("ready"), {"type": "ready", "slot": link.slot, "pid": link.pid})

    def test_many_in_flight(self) -> None:
        link = self.master().link()
        link.send(*(request(ident, environ_list(path=f"/{ident}")) for ident in range(500)))
        answers = {frame.ident: frame.body for frame in (link.next() for _ in range(500))}
        self.assertEqual(answers, {ident: b"/%d" % ident for ident in range(500)})

    def test_frames_in_small_pieces(self) -> None:
        link = self.master().link()
        for byte in request(1, environ_list(path="/slow"), b"ly"):
            link.send(bytes([byte]))
        self.assertEqual(link.next().body, b"/slowly")

    def test_large_body_in_and_out(self) -> None:
        link = self.master().link()
        body = os.urandom(3_000_000)
        link.send(request(1, environ_list("POST"), body))
        self.assertEqual(link.next().kind, HEAD)
        received = b""
        while (frame := link.next()).kind == BODY:
            received += frame.body
            link.send(credit(1, len(frame.body)))
        self.assertEqual((frame.kind, received), (END, b"/" + body))

    def test_no_more_than_the_credit(self) -> None:
        link = self.master().link()
        link.send(request(1, environ_list(path="/stream", query="1000000")), request(2, environ_list(path="/other")))
        received = 0
        others = []
        while received < protocol.INITIAL_CREDIT:
            frame = link.next()
            if frame.kind == BODY:
                received += len(frame.body)
            elif frame.kind == RESPONSE:
                others.append(frame.ident)
        self.assertEqual(received, protocol.INITIAL_CREDIT)
        link.send(credit(1, 1))
        while (frame := link.next()).kind == RESPONSE:
            others.append(frame.ident)
        self.assertEqual((frame.kind, len(frame.body)), (BODY, 1))
        link.send(credit(1, 1_000_000))
        while (frame := link.next()).kind != END:
            received += len(frame.body) if frame.kind == BODY else 0
            others += [frame.ident] if frame.kind == RESPONSE else []
        self.assertEqual(received + 1, 1_000_000)
        if not others:
            others.append(link.next().ident)
        self.assertEqual(others, [2])

    def test_cancel_while_waiting_for_credit(self) -> None:
        master = self.master()
        link = master.link()
        link.send(request(1, environ_list(path="/stream", query="1000000")))
        while link.next().kind != BODY:
            pass
        self.assertNotIn("stream closed", master.log())
        link.send(control(CANCEL, 1))
        while (frame := link.next()).kind == BODY:
            pass
        self.assertEqual((frame.kind, frame.ident), (ABORT, 1))
        self.assertEqual(link.get(2, environ_list(path="/next")).body, b"/next")
        self.assertEqual(master.logged("stream closed").count("ERROR"), 0)

    def test_cancel_of_what_is_over_or_unknown_is_ignored(self) -> None:
        link = self.master().link()
        link.get(1)
        link.send(control(CANCEL, 1), control(CANCEL, 77), credit(1, 5), control(OPENED, 5))
        self.assertEqual(link.get(2, environ_list(path="/next")).body, b"/next")

    def test_cancel_before_it_has_begun(self) -> None:
        gates = [Gate(self) for _ in range(self.threads)]
        link = self.master().link()
        link.send(*(request(ident, environ_list(path=gate.path)) for ident, gate in enumerate(gates)))
        for gate in gates:
            gate.entered()
        link.send(*(request(ident, environ_list(path=f"/{ident}")) for ident in range(100, 110)))
        link.send(*(control(CANCEL, ident) for ident in range(101, 110)))
        if self.threads > 1:  # confirmed at once, by the main thread
            confirmed = [link.next() for _ in range(9)]
        for gate in gates:
            gate.open()
        frames = [link.next() for _ in range(10 + self.threads - (9 if self.threads > 1 else 0))]
        if self.threads == 1:
            confirmed = [frame for frame in frames if frame.kind == ABORT]
        self.assertEqual([(frame.kind, frame.ident) for frame in confirmed], [(ABORT, n) for n in range(101, 110)])
        answered = {frame.ident for frame in frames if frame.kind == RESPONSE}
        self.assertEqual(answered, {100, *range(self.threads)})

    def test_file(self) -> None:
        master = self.master()
        link = master.link()
        link.send(request(1, environ_list(path="/file")))
        head, part = link.next(), link.next()
        self.assertEqual((head.kind, part.kind), (HEAD, FILE))
        path = part.payload[16:].decode()
        with open(path) as file:
            self.assertEqual(file.read(), APP)
        link.send(control(OPENED, 1))
        link.get(2)
        self.assertFalse(os.path.exists(path))
        link.send(request(3, environ_list(path="/file")))
        link.next()
        path = link.next().payload[16:].decode()
        link.send(control(CANCEL, 3))  # instead of OPENED
        link.get(4)
        self.assertFalse(os.path.exists(path))

    def test_files_are_let_go_when_the_link_is_lost(self) -> None:
        master = self.master()
        link = master.link()
        link.send(request(1, environ_list(path="/file")))
        link.next()
        path = link.next().payload[16:].decode()
        link.close()
        master.link()
        self.assertFalse(os.path.exists(path))

    def test_sys_exit_costs_one_request(self) -> None:
        master = self.master()
        link = master.link()
        self.assertEqual(link.get(1, environ_list(path="/exit")).status, 500)
        self.assertEqual(link.get(2).status, 200)
        self.assertIn("SystemExit: 5", master.log())

    def test_child_processes_of_the_application(self) -> None:
        self.assertEqual(self.master().link().get(1, environ_list(path="/child")).body, b"from a child\n")

    def test_what_the_application_finds(self) -> None:
        master = self.master(env=["EXTRA=a=b"])
        frame = master.link().get(1, environ_list(path="/env"))
        cwd, first, names, modules, multithread = eval(frame.body)
        self.assertEqual((cwd, first), (os.path.realpath(master.folder.name), master.folder.name))
        self.assertEqual(names, {"NODE_CHANNEL_FD": None, "NODE_CHANNEL_SERIALIZATION_MODE": None, "EXTRA": "a=b"})
        self.assertEqual({"worker", "wsgi", "log", "protocol", "alicorn", "tests"} & set(modules), set())
        self.assertEqual(multithread, self.threads > 1)

    def test_link_is_made_again(self) -> None:
        master = self.master()
        master.link().close()
        self.assertEqual(master.link().get(1).status, 200)

    def test_nonsense_on_a_link_closes_it(self) -> None:
        master = self.master()
        link = master.link()
        link.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(link.ended())
        self.assertEqual(master.link().get(1).status, 200)
        self.assertIn("A web worker sent", master.log())

    def test_several_web_workers(self) -> None:
        master = self.master(web_workers=3)
        links = [master.link(web_worker) for web_worker in range(3)]
        for link in links:
            link.send(*(request(ident, environ_list(path=f"/{ident}")) for ident in range(50)))
        for link in links:
            self.assertEqual({link.next().ident for _ in range(50)}, set(range(50)))

    def test_idle_is_said_to_who_waits(self) -> None:
        master = self.master(web_workers=2)
        first, second = master.link(0), master.link(1)
        master.board.ints[16 + 1] = 12345
        first.send(control(POKE))
        self.assertEqual(second.next().kind, IDLE)
        master.board.ints[16 + 1] = 0
        first.send(control(POKE))
        self.assertEqual((first.get(1).kind, second.get(2).kind), (RESPONSE, RESPONSE))

    def test_scoreboard(self) -> None:
        gate = Gate(self)
        master = self.master()
        link = master.link()
        slot = master.board.slot(link.slot)
        self.assertEqual((slot.state, slot.pid), (scoreboard.READY, link.pid))
        for ident in range(10):
            link.get(ident)
        link.send(request(0xFFFFFFFF, environ_list(path=gate.path)))
        gate.entered()
        self.assertEqual(slot.done, 10)
        self.assertGreater(slot.started, 0)
        if self.threads == 1:
            self.assertEqual(slot.uints[slot.at_begun], 0xFFFFFFFF)
        gate.open()
        link.next()
        link.get(1)  # by now the one before is on the board
        self.assertGreaterEqual(slot.done, 11)
        self.assertLess(slot.doubles[slot.at_service], 1)

    def test_drain(self) -> None:
        gate = Gate(self)
        master = self.master(web_workers=2)
        first, second = master.link(0), master.link(1)
        first.send(request(1, environ_list(path=gate.path)))
        gate.entered()
        if self.threads == 1:
            gate.open()
            self.assertEqual(first.next().kind, RESPONSE)
        os.kill(first.pid, signal.SIGTERM)
        self.assertEqual((first.next().kind, second.next().kind), (DRAINING, DRAINING))
        self.assertEqual(master.board.slot(first.slot).state, scoreboard.DRAINING)
        second.send(request(2, environ_list(path="/crossing")), control(LAST))
        self.assertEqual(second.next().body, b"/crossing")
        first.send(control(LAST))
        if self.threads > 1:
            gate.open()
            self.assertEqual(first.next().kind, RESPONSE)
        self.assertTrue(first.ended() and second.ended())
        report = master.report("exited")
        self.assertEqual((report["pid"], report["code"], report["signal"]), (first.pid, 0, 0))

    def test_quick_end_cleans_up(self) -> None:
        master = self.master()
        link = master.link()
        link.get(1)
        os.kill(link.pid, signal.SIGINT)
        report = master.report("exited")
        self.assertEqual((report["pid"], report["code"]), (link.pid, 0))

    def test_signals_that_must_not_kill(self) -> None:
        master = self.master()
        link = master.link()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            os.kill(link.pid, number)
            self.assertEqual(link.get(number).status, 200)

    def test_reopened_log(self) -> None:
        master = self.master()
        link = master.link()
        os.rename(master.errorlog, master.errorlog + ".1")
        master.say({"type": "reopen"})
        link.get(1, environ_list(path="/exit"))
        until(lambda: os.path.exists(master.errorlog))  # the arbiter's doing; the worker follows
        until(lambda: link.get(2, environ_list(path="/exit")) and "SystemExit" in master.log())


class OneThread(Common, unittest.TestCase):
    def test_taken_back(self) -> None:
        gate = Gate(self)
        master = self.master(web_workers=2)
        first, second = master.link(0), master.link(1)
        slot = master.board.slot(first.slot)
        first.send(request(1, environ_list(path=gate.path)), *(request(ident, environ_list()) for ident in (2, 3)))
        second.send(request(4, environ_list()))
        gate.entered()
        slot.uints[slot.at_taken_back] = 1
        self.assertEqual(slot.uints[slot.at_begun], 1)
        gate.open()
        frames = [first.next() for _ in range(3)]
        self.assertEqual([(frame.kind, frame.ident) for frame in frames], [(RESPONSE, 1), (RETURNED, 2), (RETURNED, 3)])
        self.assertEqual(second.next().kind, RESPONSE)  # the other web worker has taken nothing back
        slot.uints[slot.at_taken_back] = 0
        self.assertEqual(first.get(5).kind, RESPONSE)

    def test_what_is_finished_does_not_wait_for_a_slow_one(self) -> None:
        gate = Gate(self)
        link = self.master().link()
        fast = [request(ident, environ_list(path="/fast")) for ident in range(200)]
        link.send(*fast, request(999, environ_list(path=gate.path)))
        # 200 of them take several times as long as a batch may gather, so all but the last few are here.
        for _ in range(100):
            self.assertEqual(link.next().body, b"/fast")
        gate.entered()
        gate.open()
        self.assertEqual(len([link.next() for _ in range(101)]), 101)

    def test_quick_end_in_the_middle_of_a_request(self) -> None:
        master = self.master()
        link = master.link()
        link.send(request(1, environ_list(path="/busy")))
        master.logged("busy")
        os.kill(link.pid, signal.SIGQUIT)
        self.assertEqual(master.report("exited")["code"], 0)
        self.assertIn("cleaned up", master.log())
        self.assertNotIn("Error handling", master.log())


class SeveralThreads(Common, unittest.TestCase):
    threads = 4

    def test_they_run_at_once(self) -> None:
        gates = [Gate(self) for _ in range(4)]
        link = self.master().link()
        link.send(*(request(ident, environ_list(path=gate.path)) for ident, gate in enumerate(gates)))
        for gate in gates:
            gate.entered()
        for ident in (2, 0, 3, 1):
            gates[ident].open()
            self.assertEqual(link.next().ident, ident)

    def test_the_oldest_running_counts_as_started(self) -> None:
        gates = [Gate(self) for _ in range(2)]
        master = self.master()
        link = master.link()
        slot = master.board.slot(link.slot)
        started = []
        for ident, gate in enumerate(gates):
            link.send(request(ident, environ_list(path=gate.path)))
            gate.entered()
            started.append(slot.started)
        self.assertEqual(started[0], started[1])
        gates[0].open()
        link.next()
        until(lambda: slot.started != started[0])
        self.assertGreater(slot.started, started[0])
        gates[1].open()
        link.next()
        until(lambda: slot.started == 0)

    def test_what_waits_is_given_back_and_what_runs_is_not(self) -> None:
        gates = [Gate(self) for _ in range(4)]
        master = self.master()
        link = master.link()
        slot = master.board.slot(link.slot)
        link.send(*(request(ident, environ_list(path=gate.path)) for ident, gate in enumerate(gates, 1)))
        for gate in gates:
            gate.entered()
        self.assertEqual(slot.uints[slot.at_begun], 4)
        link.send(request(5, environ_list(path="/waits")), control(TAKE_BACK, 2), control(TAKE_BACK, 5))
        frame = link.next()
        self.assertEqual((frame.kind, frame.ident), (RETURNED, 5))
        gates[1].open()
        frame = link.next()
        self.assertEqual((frame.kind, frame.ident), (RESPONSE, 2))
        link.send(request(6, environ_list(path="/runs")))
        frame = link.next()
        self.assertEqual((frame.kind, frame.ident, frame.body), (RESPONSE, 6, b"/runs"))
        self.assertEqual(slot.uints[slot.at_begun], 6)
        for gate in (gates[0], *gates[2:]):
            gate.open()
            link.next()
