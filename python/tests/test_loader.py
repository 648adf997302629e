"""What `MODULE:VARIABLE` finds, and what is said when it finds nothing."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import unittest

from alicorn import loader

MODULE = """
def application(e, s): ...
def other(e, s): ...
def create(name="default", *, debug=False):
    def app(e, s): ...
    app.made = (name, debug)
    return app
def broken():
    raise ValueError("from the factory")
def nothing(): ...
class Holder:
    app = staticmethod(other)
number = 5
"""


class LoaderCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        self.addCleanup(sys.path.remove, folder.name)
        self.addCleanup(self._forget, set(sys.modules))
        os.chdir(folder.name)
        sys.path.insert(0, folder.name)
        self.write("site_a.py", MODULE)

    @staticmethod
    def _forget(known: set[str]) -> None:
        for name in set(sys.modules) - known:
            del sys.modules[name]

    def write(self, name: str, source: str) -> None:
        os.makedirs(os.path.dirname(os.path.abspath(name)), exist_ok=True)
        with open(name, "w") as file:
            file.write(source)
        importlib.invalidate_caches()

    def refused(self, uri: str, code: int, *words: str) -> str:
        with self.assertRaises(loader.LoadError) as caught:
            loader.load(uri)
        self.assertEqual(caught.exception.code, code, caught.exception.message)
        for word in words:
            self.assertIn(word, caught.exception.message)
        return caught.exception.message


class Found(LoaderCase):
    def test_variables(self) -> None:
        module = importlib.import_module("site_a")
        self.assertIs(loader.load("site_a"), module.application)
        self.assertIs(loader.load("site_a:other"), module.other)
        self.assertIs(loader.load("site_a:Holder.app"), module.other)

    def test_app_is_the_second_default(self) -> None:
        self.write("site_b.py", "def app(e, s): ...\n")
        self.assertEqual(loader.load("site_b").__name__, "app")

    def test_factories(self) -> None:
        self.assertEqual(loader.load("site_a:create()").made, ("default", False))
        self.assertEqual(loader.load("site_a:create('x', debug=True)").made, ("x", True))

    def test_module_in_a_package(self) -> None:
        self.write("pack/__init__.py", "")
        self.write("pack/web.py", MODULE)
        self.assertEqual(loader.load("pack.web").__name__, "application")


class NotFound(LoaderCase):
    def test_modules(self) -> None:
        self.refused("site_aa", 3, "there is no module `site_aa`", "did you mean `site_a`?")
        self.refused("quite_different", 3, "--chdir")
        self.refused("pack.web", 3, "there is no module `pack`", "needed for pack.web")

    def test_file_instead_of_module(self) -> None:
        self.refused("site_a.py", 3, "did you mean `site_a:app`?")
        self.refused("site_a.py:other", 3, "did you mean `site_a:other`?")
        self.write("pack/web.py", MODULE)
        self.refused("pack/web.py", 3, "did you mean `pack.web:app`?")

    def test_import_inside_the_module(self) -> None:
        self.write("site_c.py", "import not_there.at_all\n")
        message = self.refused("site_c", 3, "Traceback", "line 1, in <module>", "Is it installed for this Python?")
        self.assertNotIn("importlib", message)

    def test_error_at_import(self) -> None:
        self.write("site_d.py", "try:\n    1 / 0\nexcept ZeroDivisionError:\n    {}['key']\n")
        message = self.refused("site_d", 3, "ZeroDivisionError", "During handling", "KeyError: 'key'")
        self.assertNotIn("loader.py", message)
        self.assertNotIn("importlib", message)

    def test_syntax_error(self) -> None:
        self.write("site_e.py", "def f(:\n")
        self.refused("site_e", 3, "site_e.py", "SyntaxError")

    def test_files_whose_change_may_help(self) -> None:
        self.write("site_f.py", "import site_g\n")
        self.write("site_g.py", "import site_h\n")
        self.write("site_h.py", "def f(:\n")
        with self.assertRaises(loader.LoadError) as caught:
            loader.load("site_f")
        names = {os.path.basename(name) for name in caught.exception.files}
        self.assertLessEqual({"site_f.py", "site_g.py", "site_h.py"}, names)

    def test_variables(self) -> None:
        self.refused("site_a:missing", 4, "has no `missing`")
        self.refused("site_a:number", 4, "of type int, which cannot be called")
        self.write("site_i.py", "def the_app(e, s): ...\n")
        self.refused("site_i", 4, "no `application` and no `app`", "did you mean `site_i:the_app`?")

    def test_factories(self) -> None:
        self.assertNotIn("loader.py", self.refused("site_a:broken()", 3, "ValueError: from the factory"))
        self.refused("site_a:nothing()", 4, "returned None")
        self.refused("site_a:create(1, 2)", 3, "TypeError")
        self.refused("site_a:create(open('x'))", 4, "must be literals")
        self.refused("site_a:number()", 4, "of type int")

    def test_nonsense(self) -> None:
        for uri in ("", ":app", "site_a:", "site_a:1 + 1", "site_a:a b", "site_a:app['x']", "site_a:f()()"):
            with self.subTest(uri):
                self.refused(uri, 4)
