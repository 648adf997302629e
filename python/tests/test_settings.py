"""Gunicorn's settings: each row, the order of their sources, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from typing import Any
from unittest import mock

from alicorn import config, settings

# What a command line may say for each form of row, and what comes of it.
EXAMPLES: dict[str, tuple[list[str], Any]] = {
    "bind": (["127.0.0.1:1", "unix:/a"], ["127.0.0.1:1", "unix:/a"]),
    "chdir": (["/"], "/"),
    "user": (["0"], 0),
    "group": (["0"], 0),
    "umask": (["022"], 0o22),
    "control_socket_mode": (["0o640"], 0o640),
    "forwarded_allow_ips": (["10.0.0.0/8, ::1"], ["10.0.0.0/8", "::1"]),
    "proxy_allow_ips": (["*"], ["*"]),
    "uwsgi_allow_ips": (["192.0.2.1"], ["192.0.2.1"]),
    "reload_engine": (["poll"], "poll"),
    "forwarder_headers": (["script_name,remote_user"], ["SCRIPT_NAME", "REMOTE_USER"]),
    "header_map": (["Refuse"], "refuse"),
    "proxy_protocol": (["v2"], "v2"),
    "protocol": (["uwsgi"], "uwsgi"),
    "statsd_host": (["Localhost:8125"], ("localhost", 8125)),
    "http_protocols": (["h2, h1"], ["h2", "h1"]),
    "http2_cleartext": (["both"], "both"),
    "http2_max_frame_size": (["20000"], 20000),
    "asgi_loop": (["uvloop"], "uvloop"),
    "asgi_lifespan": (["off"], "off"),
    "http_parser": (["python"], "python"),
    "cert_reqs": (["2"], 2),
    "max_worker_memory": (["300M"], 300 * 1024 * 1024),
    "raw_env": (["A=1", "B=2"], ["A=1", "B=2"]),
}
FILES = ("certfile", "keyfile", "ca_certs")
OTHERS = ("check_config", "print_config", "config", "paste")


class SettingsCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        before = list(sys.path)
        self.addCleanup(lambda: sys.path.__setitem__(slice(None), before))
        self.addCleanup(lambda: sys.modules.pop("__config__", None))
        environment = mock.patch.dict(os.environ, {"PWD": folder.name})
        environment.start()
        self.addCleanup(environment.stop)
        for name in ("WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS", "SENDFILE"):
            os.environ.pop(name, None)
        os.chdir(folder.name)
        self.folder = folder.name

    def load(self, *arguments: str) -> config.Config:
        return config.load(["app:app", *arguments], "0")

    def refused(self, *arguments: str) -> str:
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(config.ConfigFailure) as caught:
            self.load(*arguments)
        return said.getvalue() + caught.exception.message

    def write(self, name: str, text: str) -> None:
        with open(name, "w") as file:
            file.write(text)

    # The table.

    def test_counts(self) -> None:
        own = [row for row in settings.ROWS if row.section == "Alicorn's own"]
        self.assertEqual(len(settings.ROWS) - len(own), 119)
        self.assertEqual(sum(bool(row.flags) for row in settings.ROWS if row not in own), 94)
        self.assertEqual(sum(len(row.flags) for row in settings.ROWS if row not in own), 109)
        self.assertEqual(len(json.loads(settings.table())), len(settings.ROWS))

    def test_every_default_passes_its_own_check(self) -> None:
        for row in settings.ROWS:
            value = row.default.read() if isinstance(row.default, settings.FromEnvironment) else row.default
            if not row.is_hook and row.name not in ("ssl_version", "http_protocols"):
                self.assertEqual(row.validate(value), value, row.name)

    def test_every_flag_sets_its_setting(self) -> None:
        for row in settings.ROWS:
            if not row.flags or row.name in OTHERS:
                continue
            given, wanted = EXAMPLES.get(row.name, self.example(row))
            if row.name in FILES:
                self.write("file", "")
                given, wanted = ["file"], "file"
            for flag in row.flags:
                arguments = [part for value in given for part in (flag, value)] or [flag]
                found = self.load(*arguments).settings[row.name].value
                self.assertEqual(found, wanted, f"{flag} {given}")
            os.chdir(self.folder)

    @staticmethod
    def example(row: settings.Setting) -> tuple[list[str], Any]:
        if row.form == "flag":
            return [], True
        if row.form == "off":
            return [], False
        if row.form == "number":
            return ["7"], 7
        if row.form == "list":
            return ["a", "b"], ["a", "b"]
        return ["word"], "word"

    def test_every_setting_can_stand_in_the_file(self) -> None:
        lines = [f"def {row.name}(*arguments): pass" for row in settings.ROWS if row.is_hook]
        lines += ["workers = '0x10'", "reload = 'True'", "bind = 'localhost:1'", "umask = 0o17", "user = None"]
        lines += ["secure_scheme_headers = {'X-A': 'b'}", "logconfig_dict = {'version': 1}", "proxy_protocol = True"]
        lines += ["_private = 1", "Workers = 5", "import os"]
        self.write("gunicorn.conf.py", "\n".join(lines))
        cfg = self.load()
        self.assertEqual((cfg.workers, cfg.reload, cfg.bind, cfg.umask), (16, True, ["localhost:1"], 0o17))
        self.assertEqual(
            (cfg.user, cfg.secure_scheme_headers, cfg.proxy_protocol), (os.geteuid(), {"X-A": "b"}, "auto")
        )
        for row in settings.ROWS:
            if row.is_hook:
                self.assertIsNotNone(cfg.hook(row.name), row.name)

    # Where values come from.

    def test_precedence(self) -> None:
        self.write("gunicorn.conf.py", "workers = 2\nthreads = 2\ntimeout = 2\nbacklog = 2\n")
        with mock.patch.dict(
            os.environ, {"WEB_CONCURRENCY": "9", "GUNICORN_CMD_ARGS": "--threads 3 --timeout=3 -e 'A=b c'"}
        ):
            cfg = self.load("--timeout", "4")
        self.assertEqual((cfg.workers, cfg.threads, cfg.timeout, cfg.backlog), (2, 3, 4, 2))
        self.assertEqual(cfg.env, {"A": "b c"})

    def test_defaults_of_the_environment(self) -> None:
        with mock.patch.dict(os.environ, {"WEB_CONCURRENCY": "5", "PORT": "81", "FORWARDED_ALLOW_IPS": "*"}):
            cfg = self.load()
        self.assertEqual((cfg.workers, cfg.bind, cfg.forwarded_allow_ips), (5, ["0.0.0.0:81"], ["*"]))
        with mock.patch.dict(os.environ, {"WEB_CONCURRENCY": "many"}):
            self.assertIn("invalid literal", self.refused())

    def test_the_file_of_the_command_line_is_the_only_one(self) -> None:
        self.write("gunicorn.conf.py", "workers = 2\n")
        self.write("a.py", "threads = 3\n")
        self.write("b.py", "threads = 4\n")
        with mock.patch.dict(os.environ, {"GUNICORN_CMD_ARGS": "-c a.py"}):
            self.assertEqual(self.load().threads, 3)
            cfg = self.load("-c", "file:b.py")
        self.assertEqual((cfg.threads, cfg.workers), (4, 1))

    def test_lists_of_the_command_line_replace_those_of_the_file(self) -> None:
        self.write("gunicorn.conf.py", "bind = ['a:1', 'b:2']\n")
        self.assertEqual(self.load().bind, ["a:1", "b:2"])
        self.assertEqual(self.load("-b", "c:3").bind, ["c:3"])

    def test_abbreviations_and_joined_values(self) -> None:
        cfg = self.load("--worker-conn", "5", "-w4", "--log-lev=debug")
        self.assertEqual((cfg.worker_connections, cfg.workers, cfg.loglevel), (5, 4, "debug"))

    def test_chdir_is_the_applications_directory_the_file_is_found_before(self) -> None:
        os.mkdir("deep")
        self.write("gunicorn.conf.py", "workers = 3\nchdir = 'deep'\n")
        cfg = self.load()
        self.assertEqual((cfg.workers, os.path.basename(os.getcwd())), (3, "deep"))
        self.assertEqual(sys.path[0], os.getcwd())

    # What Gunicorn derives from them.

    def test_addresses(self) -> None:
        for text, wanted in (
            ("127.0.0.1:80", ("127.0.0.1", 80)),
            ("127.0.0.1", ("127.0.0.1", 8000)),
            (":80", ("0.0.0.0", 80)),
            ("tcp://Host:1", ("host", 1)),
            ("[::1]:80", ("::1", 80)),
            ("[::1]", ("::1", 8000)),
            ("unix:/run/x", "/run/x"),
            ("unix:///run/x", "/run/x"),
            ("fd://3", 3),
        ):
            self.assertEqual(config.parse_address(text), wanted, text)
        self.assertIn("is not a valid port number", self.refused("-b", "127.0.0.1:99999"))

    def test_derived(self) -> None:
        cfg = self.load("--threads", "2", "-n", "mine")
        self.assertEqual((cfg.worker_class_str, cfg.proc_name, cfg.is_ssl), ("gthread", "mine", False))
        self.assertEqual(self.load().proc_name, "app:app")
        self.assertTrue(cfg.sendfile)
        self.assertFalse(self.load("--no-sendfile").sendfile)
        self.assertEqual(self.load("--paste-global", "a=b\\=c").paste_global_conf, {"a": "b=c"})

    # What is refused.

    def test_refused_values(self) -> None:
        for line, words in (
            ("workers = -1", "Value must be positive: -1"),
            ("workers = 'a'", "Invalid value for workers: a"),
            ("reload = 'maybe'", "Invalid boolean: maybe"),
            ("reload = 1", "Invalid type for casting: 1"),
            ("loglevel = 5", "Not a string: 5"),
            ("header_map = 'x'", "Invalid header map behaviour: x"),
            ("proxy_protocol = 'v3'", "Invalid proxy_protocol mode: v3"),
            ("http_protocols = 'h4'", "Invalid protocol: h4"),
            ("max_worker_memory = 'lots'", "Invalid size: lots"),
            ("forwarded_allow_ips = '1.2.3.4/8'", "has host bits set"),
            ("secure_scheme_headers = []", "Value is not a dictionary"),
            ("post_request = lambda a: None", "Value must have an arity of: 2 or 3 or 4"),
            ("on_exit = 5", "Value is not callable: 5"),
            ("on_exit = 'nothing.of.that'", "Can not load 'nothing.of.that'"),
            ("raw_env = ['A']", "environment setting 'A' invalid"),
            ("certfile = 'nothing.pem'", 'certfile "nothing.pem" does not exist'),
            ("group = 'no-such-group'", "No such group: 'no-such-group'"),
            ("import nothing_of_that_name", "Failed to read config file"),
        ):
            self.write("gunicorn.conf.py", line + "\n")
            self.assertIn(words, self.refused(), line)

    def test_cfg_is_read_only_but_for_set(self) -> None:
        cfg = self.load()
        with self.assertRaises(AttributeError):
            cfg.workers = 5
        with self.assertRaises(AttributeError):
            cfg.set("nothing", 1)
        cfg.set("workers", 5)
        self.assertEqual(cfg.settings["workers"].get(), 5)


if __name__ == "__main__":
    unittest.main()
