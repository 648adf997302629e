"""The arbiter, seen from the master's side: births, deaths and what is said about them."""

from __future__ import annotations

import os
import signal
import unittest
from typing import Any

from alicorn import scoreboard
from alicorn.child import BACK_OFF_LAST, GOOD_LIFE, Place
from alicorn.protocol import DRAINING, END, INITIAL_CREDIT, LAST

from .test_worker import Gate
from .webside import LinkEnd, Master, control, credit, environ_list, request, until

HELLO = """
import os
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/gate/"):
        with open(path[5:], "rb") as gate:
            gate.read()
    if path == "/crash":
        os.kill(os.getpid(), 9)
    if path == "/exit":
        os._exit(7)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class ArbiterCase(unittest.TestCase):
    def master(self, source: str = HELLO, **settings: Any) -> Master:
        master = Master(source, **settings)
        self.addCleanup(master.close)
        return master

    def let_go(self, link: LinkEnd) -> None:
        """Answers a worker's wish to leave."""
        while link.next().kind != DRAINING:
            pass
        link.send(control(LAST))
        self.assertTrue(link.ended())


class FirstBoot(ArbiterCase):
    def failure(self, source: str, code: int, **settings: Any) -> str:
        """How the first boot fails: the same in a worker and in the arbiter."""
        messages = []
        for preload in (False, True):
            master = self.master(source, preload=preload, workers=2, **settings)
            report = master.report("failed")
            self.assertEqual((report["code"], master.wait()), (code, code))
            self.assertNotIn("Traceback", master.log())  # the master says it
            messages.append(report["message"].replace(master.folder.name, "DIR"))
        self.assertEqual(messages[0], messages[1])
        return messages[0]

    def test_reports(self) -> None:
        master = self.master(workers=2)
        pids = {master.report("booting")["pid"] for _ in range(2)}
        ready = [master.report("ready") for _ in range(2)]
        self.assertEqual({report["pid"] for report in ready}, pids)
        self.assertEqual({report["slot"] for report in ready}, {0, 1})
        for report in ready:
            slot = master.board.slot(report["slot"])
            self.assertEqual((slot.pid, slot.state), (report["pid"], scoreboard.READY))

    def test_error_in_the_application(self) -> None:
        message = self.failure("def f():\n    return 1 / 0\nf()\n", 3)
        self.assertEqual(
            [line for line in message.splitlines() if "^" not in line],
            [
                "Traceback (most recent call last):",
                '  File "DIR/app.py", line 3, in <module>',
                "    f()",
                '  File "DIR/app.py", line 2, in f',
                "    return 1 / 0",
                "ZeroDivisionError: division by zero",
            ],
        )

    def test_missing_module(self) -> None:
        message = self.failure("", 3, app="ap:app")
        self.assertEqual(message, "there is no module `ap` in DIR or on Python's path: did you mean `app`?")

    def test_missing_import(self) -> None:
        message = self.failure("import no_such_thing\n", 3)
        self.assertIn("ModuleNotFoundError: No module named 'no_such_thing'", message)
        self.assertIn("Is it installed for this Python?", message)

    def test_missing_variable(self) -> None:
        message = self.failure("def my_app(e, s): ...\n", 4)
        self.assertEqual(message, "module app has no `app`: did you mean `app:my_app`?")

    def test_sys_exit(self) -> None:
        self.assertIn("ended the program", self.failure("import sys; sys.exit(7)\n", 3))

    def test_crash(self) -> None:
        report = self.master("import os; os.kill(os.getpid(), 11)\n").report("failed")
        self.assertEqual(report["code"], 3)
        self.assertRegex(report["message"], r"Worker \(pid:\d+\) was killed by SIGSEGV while it was booting")

    def test_too_slow(self) -> None:
        master = self.master("import time; time.sleep(60)\n", timeout=0.2)
        self.assertIn("was ended after its timeout while it was booting", master.report("failed")["message"])
        self.assertIn("app.py", master.logged("Fatal Python error"))


class Replacement(ArbiterCase):
    def test_crash_is_reported_and_made_good(self) -> None:
        for path, code, number, line in (
            ("/crash", -1, 9, "was sent SIGKILL! Perhaps out of memory?"),
            ("/exit", 7, 0, "exited with code 7"),
        ):
            with self.subTest(path):
                master = self.master()
                link = master.link()
                link.send(request(1, environ_list(path=path)))
                report = master.report("exited")
                expected = {"slot": link.slot, "pid": link.pid, "code": code, "signal": number, "cause": 0}
                self.assertEqual(report, {"type": "exited", **expected})
                following = master.link()
                self.assertNotEqual(following.slot, link.slot)
                self.assertEqual(int(following.get(1).body), following.pid)
                master.logged(f"Worker (pid:{link.pid}) {line}; starting another")

    def test_back_off(self) -> None:
        place = Place()
        delays = [place.note_end(0.1, now=0.0) for _ in range(10)]
        self.assertEqual(delays[:4], [0.0, 0.1, 0.2, 0.4])
        self.assertEqual(delays[-1], BACK_OFF_LAST)
        self.assertEqual(place.due, BACK_OFF_LAST)
        self.assertEqual(place.note_end(GOOD_LIFE, now=50.0), 0.0)
        self.assertEqual(place.note_end(0.1, now=60.0), 0.1)

    def test_code_that_breaks_later_does_not_end_the_server(self) -> None:
        master = self.master(workers=2)
        links = [master.link(), master.link()]
        master.write("app.py", "raise ValueError('broken meanwhile')\n")
        links[0].send(request(1, environ_list(path="/crash")))
        log = master.logged("the next one starts in 0.2 s")
        self.assertEqual(log.count("Traceback"), 1)
        self.assertIn("could not load the application: ValueError: broken meanwhile; ", log)
        self.assertEqual(links[1].get(1).status, 200)
        master.write("app.py", HELLO)
        self.assertEqual(master.link().get(1).status, 200)

    def test_timeout(self) -> None:
        gate = Gate(self)
        master = self.master(timeout=0.3)
        link = master.link()
        link.get(1)
        link.send(request(2, environ_list(path=gate.path)))
        gate.entered()
        report = master.report("exited")
        self.assertEqual((report["pid"], report["signal"], report["cause"]), (link.pid, signal.SIGABRT, 1))
        self.assertEqual(master.board.slot(link.slot).cause, scoreboard.TIMEOUT)
        log = master.logged("was ended after its timeout")
        self.assertRegex(log, rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{link.pid}\): 0\.[3-9] s in one request")
        self.assertRegex(log, r'File ".*app\.py", line \d+ in app')  # where it was stuck
        self.assertEqual(master.link().get(1).status, 200)

    def test_idle_workers_and_waiting_streams_do_not_time_out(self) -> None:
        source = "def app(e, s):\n    s('200 OK', [])\n    yield b'x' * 300000\n"
        master = self.master(source, timeout=1.5)
        link = master.link()
        link.send(request(1, environ_list()))
        received = 0
        while received < INITIAL_CREDIT:
            received += len(link.next().body)
        slot = master.board.slot(link.slot)
        for _ in range(2):  # the clock starts again and again while the client is slow
            before = slot.started
            until(lambda: slot.started != before)  # noqa: B023
        link.send(credit(1, 100_000))
        while link.next().kind != END:
            pass
        self.assertNotIn("TIMEOUT", master.log())

    def test_with_threads_the_heartbeat_counts(self) -> None:
        source = HELLO + (
            "import ctypes\n"
            "def stuck(environ, start_response):\n"
            "    if environ['PATH_INFO'] == '/stuck':\n"
            "        ctypes.PyDLL(None).sleep(60)  # holds the interpreter's lock\n"
            "    return app(environ, start_response)\n"
        )
        gate = Gate(self)
        master = self.master(source, app="app:stuck", threads=2, timeout=2)
        link = master.link()
        link.send(request(1, environ_list(path=gate.path)))
        gate.entered()
        link.send(request(2, environ_list(path="/stuck")))
        report = master.report("exited")
        self.assertEqual((report["pid"], report["cause"]), (link.pid, 1))
        self.assertIn("s silent", master.log())


class Recycling(ArbiterCase):
    def test_replaced_first_then_drained(self) -> None:
        for threads in (1, 4):
            with self.subTest(threads=threads):
                master = self.master(max_requests=5, threads=threads)
                old = master.link()
                for ident in range(5):
                    old.get(ident)
                new = master.link()
                self.assertEqual(new.get(1).status, 200)
                old.send(request(9, environ_list()), request(10, environ_list()))
                self.let_go(old)
                self.assertEqual(master.report("exited")["code"], 0)
                self.assertNotIn("ERROR", master.log())

    def test_one_at_a_time(self) -> None:
        master = self.master(max_requests=1, workers=3)
        links = [master.link() for _ in range(3)]
        for link in links:
            link.get(1)
        for _ in range(3):
            master.link()
        for link in links:
            self.let_go(link)
        order = [line for line in master.log().splitlines() if "Booting" in line or "exiting" in line]
        self.assertEqual(len([line for line in order if "Booting" in line]), 6)

    def test_without_a_spare_slot(self) -> None:
        master = self.master(max_requests=1, slots=1)
        old = master.link()
        old.get(1)
        self.let_go(old)
        self.assertEqual(master.link().get(1).status, 200)


class Resizing(ArbiterCase):
    def test_more_and_fewer(self) -> None:
        master = self.master()
        first = master.link()
        master.say({"type": "workers", "count": 3})
        links = [master.link(), master.link()]
        self.assertEqual({link.get(1).status for link in links}, {200})
        master.say({"type": "workers", "count": 1})
        self.let_go(first)  # the oldest
        leaving = [link for link in links if link.pid == min(link.pid for link in links)]
        self.let_go(leaving[0])
        (stays,) = set(links) - set(leaving)
        self.assertEqual(stays.get(2).status, 200)


class Stop(ArbiterCase):
    def test_gracefully(self) -> None:
        gate = Gate(self)
        master = self.master(threads=2)
        link = master.link()
        link.send(request(1, environ_list(path=gate.path)))
        gate.entered()
        master.say({"type": "stop"})
        self.assertEqual(link.next().kind, DRAINING)
        link.send(control(LAST))
        gate.open()
        self.assertEqual(link.next().status, 200)
        self.assertEqual(master.wait(), 0)

    def test_within_bounds(self) -> None:
        gate = Gate(self)
        master = self.master(graceful_timeout=0.2)
        link = master.link()
        link.send(request(1, environ_list(path=gate.path)))
        gate.entered()
        master.say({"type": "stop"})
        self.assertEqual(master.wait(), 0)
        self.assertIn("did not leave in time: SIGKILL", master.log())

    def test_quickly(self) -> None:
        gate = Gate(self)
        master = self.master(graceful_timeout=60)
        link = master.link()
        link.send(request(1, environ_list(path=gate.path)))
        gate.entered()
        master.say({"type": "quit"})
        self.assertEqual(master.wait(), 0)

    def test_while_booting(self) -> None:
        master = self.master("import time; time.sleep(60)\n", graceful_timeout=60)
        pid = master.report("booting")["pid"]
        master.say({"type": "stop"})
        self.assertEqual(master.wait(), 0)
        self.assertFalse(alive(pid))

    def test_end_of_the_master(self) -> None:
        master = self.master(graceful_timeout=1)
        link = master.link()
        master.channel.close()
        self.assertEqual(link.next().kind, DRAINING)
        link.close()
        self.assertEqual(master.wait(), 0)
        self.assertFalse(alive(link.pid))

    def test_end_of_the_master_during_preload(self) -> None:
        master = self.master("open('begun', 'w').close()\n", preload=True)
        master.channel.close()
        master.wait()

    def test_end_of_the_arbiter(self) -> None:
        for threads in (1, 2):
            with self.subTest(threads=threads):
                gate = Gate(self)
                master = self.master(graceful_timeout=1, threads=threads)
                link = master.link()
                link.send(request(1, environ_list(path=gate.path)))
                gate.entered()
                master.process.kill()
                # Nobody lets the request go on: the worker ends all the same.
                self.assertTrue(link.ended())

    def test_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            with self.subTest(number):
                master = self.master()
                link = master.link()
                master.process.send_signal(number)
                if number == signal.SIGTERM:
                    self.let_go(link)
                self.assertTrue(link.ended())
                self.assertEqual(master.wait(), 0)
