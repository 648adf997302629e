"""--reload: a save becomes a new worker, an error becomes a page, and the next save makes it good."""

from __future__ import annotations

import itertools
import os
import time
import unittest
from typing import Any
from unittest import mock

from alicorn import reloader
from alicorn.protocol import DRAINING, LAST

from .webside import LinkEnd, Master, control, environ_list, until

APP = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/later":
        import later
    start_response("200 OK", [])
    return [b"{}"]
"""


class Saved(unittest.TestCase):
    def master(self, source: str, **settings: Any) -> Master:
        master = Master(source, reload=True, **settings)
        self.addCleanup(master.close)
        return master

    def replaced(self, master: Master, old: LinkEnd) -> LinkEnd:
        """The old worker takes nothing more; the new one is there."""
        self.assertEqual(old.next().kind, DRAINING)
        old.send(control(LAST))
        self.assertTrue(old.ended())
        return master.link()

    def test_new_code(self) -> None:
        for threads in (1, 2):
            master = self.master(APP.format("one"), threads=threads)
            link = master.link()
            self.assertEqual(link.get(1).body, b"one")
            saved = time.monotonic()
            master.write("app.py", APP.format("two"))
            link = self.replaced(master, link)
            self.assertEqual(link.get(1).body, b"two")
            self.assertLess(time.monotonic() - saved, 1.0)
            self.assertIn("app.py has changed", master.log())

    def test_saved_in_place(self) -> None:
        master = self.master(APP.format("one"))
        link = master.link()
        with open(os.path.join(master.folder.name, "app.py"), "w") as file:
            file.write(APP.format("two"))
        self.assertEqual(self.replaced(master, link).get(1).body, b"two")

    def test_error_and_recovery(self) -> None:
        master = self.master(APP.format("one"))
        link = master.link()
        master.write("app.py", "x = 1\nraise ValueError('<broken>')\n")
        link = self.replaced(master, link)
        frame = link.get(1, environ_list(path="/anything"))
        self.assertEqual((frame.status, frame.headers["Content-Type"]), (500, "text/html; charset=utf-8"))
        self.assertIn(b"ValueError: &lt;broken&gt;", frame.body)
        self.assertIn(b"app.py&quot;, line 2", frame.body)
        self.assertIn("ValueError: <broken>", master.log())
        master.write("app.py", APP.format("two"))
        self.assertEqual(self.replaced(master, link).get(1).body, b"two")

    def test_broken_from_the_start(self) -> None:
        for source in ("def f(:\n", "import helper\n", "import sys; sys.exit(1)\n"):
            with self.subTest(source):
                master = self.master(source)
                link = master.link()
                self.assertEqual(link.get(1).status, 500)
                if "helper" in source:
                    master.write("helper.py", APP.format("unused") + "broken = 1\n")
                    link = self.replaced(master, link)
                    self.assertIn(b"no `app`", link.get(1).body)
                master.write("app.py", APP.format("two"))
                self.assertEqual(self.replaced(master, link).get(1).body, b"two")

    def test_module_that_a_request_imports(self) -> None:
        master = self.master(APP.format("one"))
        link = master.link()
        master.write("later.py", "x = 1\n")
        link = self.replaced(master, link)
        self.assertEqual(link.get(1, environ_list(path="/later")).status, 200)
        master.write("later.py", "x = 2\n")
        self.replaced(master, link)

    def test_other_files(self) -> None:
        master = self.master(APP.format("one"))
        template = master.write("page.html", "<p>")
        link = master.link()
        master.write("unrelated.txt", "x")
        self.assertEqual(link.get(1).body, b"one")
        self.assertNotIn("changed", master.log())
        master = self.master(APP.format("one"), reload_extra_files=[template])
        link = master.link()
        with open(template, "w") as file:
            file.write("<p>new")
        self.replaced(master, link)

    def test_saved_while_the_worker_boots(self) -> None:
        source = "import os\nos.stat('go') if os.path.exists('go') else open('booted', 'w').close()\n"
        gate = "with open('fifo') as fifo:\n    fifo.read()\n"
        master = Master.__new__(Master)
        with mock.patch.object(Master, "say") as say:  # the folder is filled before the arbiter hears of it
            master.__init__(source + gate + APP.format("one"), reload=True)
        self.addCleanup(master.close)
        os.mkfifo(os.path.join(master.folder.name, "fifo"))
        master.say(say.call_args.args[0])
        until(lambda: os.path.exists(os.path.join(master.folder.name, "booted")))
        master.write("app.py", APP.format("two"))
        os.close(os.open(os.path.join(master.folder.name, "fifo"), os.O_WRONLY))
        self.assertEqual(self.replaced(master, master.link()).get(1).body, b"two")


class WithoutInotify(unittest.TestCase):
    def test_times_are_compared(self) -> None:
        with Master(APP.format("x"), reload=True) as master:
            master.say({"type": "quit"})
            path = os.path.join(master.folder.name, "app.py")
            os.utime(path, (1000, 1000))
            changed: list[str] = []
            times = itertools.count(2000)
            watched = reloader.Watched(master.folder.name, [path])
            with mock.patch.object(reloader, "Inotify", side_effect=OSError), mock.patch.object(reloader, "POLL", 0.01):
                thread = reloader.Reloader(watched, changed.append)
                thread.start()
                until(lambda: not thread.is_alive() or os.utime(path, (1000, next(times))))
                thread.join()
            self.assertEqual(changed, [os.path.realpath(path)])
