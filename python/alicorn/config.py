"""The settings in force: Gunicorn's `cfg`, which hooks and loggers ask, and the order in which its sources count.

Later ones win: defaults, the configuration file, GUNICORN_CMD_ARGS, the command line.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import importlib.machinery
import importlib.util
import os
import pwd
import shlex
import sys
import traceback
from typing import Any, Callable

from . import validators
from .settings import ROWS, FromEnvironment, Setting

VERSION = "26.1.0"  # of the Gunicorn whose settings these are
DEFAULT_FILE = "./gunicorn.conf.py"


class ConfigFailure(Exception):
    """What the user has to change. `shown`: it stands on the terminal already."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


def _no_hook(*_: Any) -> None:
    """What a hook does that nobody has set."""


class _Value:
    """One setting and its value, as `cfg.settings[name]` has them."""

    __slots__ = ("row", "value")

    def __init__(self, row: Setting) -> None:
        self.row = row
        default = row.default
        if isinstance(default, FromEnvironment):
            default = default.read()
        self.value = _no_hook if row.is_hook else copy.copy(default)

    @property
    def name(self) -> str:
        return self.row.name

    def get(self) -> Any:
        return self.value

    def set(self, value: Any) -> None:
        self.value = self.row.validate(value)


class Config:
    """Each setting is an attribute; `set` checks. Also what Gunicorn derives from them: address, uid, gid, env …"""

    def __init__(self) -> None:
        self.__dict__["settings"] = {row.name: _Value(row) for row in ROWS}
        self.__dict__["app_uri"] = None

    def __getattr__(self, name: str) -> Any:
        try:
            return self.settings[name].value
        except KeyError:
            raise AttributeError(f"No configuration setting for: {name}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "settings" and name in self.settings:
            raise AttributeError("Invalid access!")
        super().__setattr__(name, value)

    def set(self, name: str, value: Any) -> None:
        if name not in self.settings:
            raise AttributeError(f"No configuration setting for: {name}")
        self.settings[name].set(value)

    def hook(self, name: str) -> Callable[..., Any] | None:
        """None: nobody has set it."""
        function = self.settings[name].value
        return None if function is _no_hook else function

    def __str__(self) -> str:
        width = max(map(len, self.settings))
        return "\n".join(f"{name:{width}} = {_shown(self.settings[name].value)}" for name in sorted(self.settings))

    @property
    def address(self) -> list[Any]:
        return [parse_address(text) for text in self.bind]

    @property
    def uid(self) -> int:
        return self.user

    @property
    def gid(self) -> int:
        return self.group

    @property
    def proc_name(self) -> str:
        return self.settings["proc_name"].value or self.settings["default_proc_name"].value

    @property
    def is_ssl(self) -> bool:
        return bool(self.certfile or self.keyfile)

    @property
    def ssl_options(self) -> dict[str, Any]:
        return {name: each.value for name, each in self.settings.items() if each.row.section == "SSL"}

    @property
    def env(self) -> dict[str, str]:
        pairs = {}
        for text in self.raw_env:
            name, equals, value = text.partition("=")
            if not equals:
                raise ConfigFailure(f"environment setting {text!r} invalid")
            pairs[name] = value
        return pairs

    @property
    def sendfile(self) -> bool:
        if self.settings["sendfile"].value is not None:
            return False
        given = os.environ.get("SENDFILE")
        return given is None or given.lower() in ("y", "1", "yes", "true")

    @property
    def worker_class_str(self) -> str:
        given = self.settings["worker_class"].value
        if not isinstance(given, str):
            return given.__name__
        return "gthread" if given == "sync" and self.threads > 1 else given

    @property
    def paste_global_conf(self) -> dict[str, str] | None:
        pairs = (text.replace("\\=", "\0").partition("=") for text in self.raw_paste_global_conf)
        return {name.replace("\0", "="): value.replace("\0", "=") for name, _, value in pairs} or None

    @property
    def user_name(self) -> str:
        try:
            return pwd.getpwuid(self.user).pw_name
        except KeyError:
            return ""


def _shown(value: Any) -> str:
    if not callable(value):
        return str(value)
    return f"<{getattr(value, '__qualname__', value)}()>"


def parse_address(text: str) -> Any:
    """("host", port), the path of a Unix socket, or a descriptor's number. Raises ConfigFailure."""
    if text.startswith("fd://"):
        number = text[len("fd://") :]
        if not number.isdigit():
            raise ConfigFailure(f"{number!r} is not a valid file descriptor.")
        return int(number)
    for prefix in ("unix://", "unix:"):
        if text.startswith(prefix):
            return text[len(prefix) :]
    if text.startswith("tcp://"):
        text = text[len("tcp://") :]
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing:
            raise ConfigFailure(f"{text!r} is not a valid address.")
        return host.lower(), _port(rest[1:]) if rest.startswith(":") else 8000
    host, colon, port = text.rpartition(":")
    if not colon:
        return text.lower() or "0.0.0.0", 8000
    return host.lower() or "0.0.0.0", _port(port)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise ConfigFailure(f"{text!r} is not a valid port number.")
    return int(text)


def make_parser(program_version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gunicorn", usage="%(prog)s [OPTIONS] [APP_MODULE]")
    version = f"%(prog)s (version {VERSION})\nalicorn version: {program_version}"
    parser.formatter_class = argparse.HelpFormatter
    parser.add_argument("-v", "--version", action=_Version, text=version)
    parser.add_argument("args", nargs="*", help=argparse.SUPPRESS)
    for row in ROWS:
        if row.flags:
            _add_flag(parser, row)
    return parser


class _Version(argparse.Action):
    """argparse's own would fill the lines anew."""

    def __init__(self, option_strings: list[str], dest: str, text: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="print the version and exit")
        self.text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(self.text % {"prog": parser.prog}, flush=True)
        parser.exit()


def _add_flag(parser: argparse.ArgumentParser, row: Setting) -> None:
    shown = row.default.read() if isinstance(row.default, FromEnvironment) else row.default
    help_text = f"{row.summary} [{shown}]".replace("%", "%%")
    if row.form in ("flag", "off"):
        action = "store_true" if row.form == "flag" else "store_false"
        parser.add_argument(*row.flags, dest=row.name, action=action, default=None, help=help_text)
        return
    options: dict[str, Any] = {"dest": row.name, "default": None, "help": help_text, "metavar": row.metavar}
    if row.form == "list":
        options["action"] = "append"
    elif row.form == "mode":
        options.update(nargs="?", const="auto")
    elif row.form != "text":
        options["type"] = _auto_int if row.form == "any_number" else int
    parser.add_argument(*row.flags, **options)


def _auto_int(text: str) -> int:
    return validators.any_number(text)


_auto_int.__name__ = "auto_int"  # argparse names the type in its message


def load(arguments: list[str], program_version: str) -> Config:
    """Reads everything there is, and leaves the process in the application's directory. Raises ConfigFailure, and
    SystemExit where argparse has said it all."""
    try:
        cfg = Config()
    except ValueError as error:  # of the environment: WEB_CONCURRENCY=many
        raise ConfigFailure(str(error)) from None
    parser = make_parser(program_version)
    given = parser.parse_args(arguments)
    from_environment = parser.parse_args(shlex.split(os.environ.get("GUNICORN_CMD_ARGS", "")))
    _change_directory(cfg.chdir)
    location = given.config or from_environment.config
    if location is not None:
        _read_location(cfg, location)
    elif os.path.exists(os.path.join(cfg.chdir, DEFAULT_FILE)):
        _read_location(cfg, os.path.join(cfg.chdir, DEFAULT_FILE))
    for source in (from_environment, given):
        _apply(cfg, source)
    _change_directory(cfg.chdir)
    _find_application(cfg, given.args or from_environment.args)
    _check(cfg)
    return cfg


def _apply(cfg: Config, source: argparse.Namespace) -> None:
    for name, value in vars(source).items():
        if name == "args" or value is None:
            continue
        try:
            cfg.set(name, value)
        except Exception as error:
            raise ConfigFailure(str(error)) from None


def _change_directory(path: str) -> None:
    os.chdir(path)
    if path not in sys.path:
        sys.path.insert(0, path)


def _read_location(cfg: Config, location: str) -> None:
    if location.startswith("python:"):
        names = vars(_import_configuration(location[len("python:") :], importlib.import_module))
    else:
        path = location[len("file:") :] if location.startswith("file:") else location
        if not os.path.exists(path):
            raise ConfigFailure(f"{path!r} doesn't exist")
        names = vars(_import_configuration(path, _run_file))
    for name, value in list(names.items()):
        if name not in cfg.settings:
            continue
        try:
            cfg.set(name, value)
        except Exception as error:
            print(f"Invalid value for {name}: {value}\n", file=sys.stderr, flush=True)
            raise ConfigFailure(str(error)) from None
    cfg.settings["config"].value = location


def _import_configuration(name: str, run: Callable[[str], Any]) -> Any:
    try:
        return run(name)
    except Exception:
        print(f"Failed to read config file: {name}", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
        raise ConfigFailure from None


def _run_file(path: str) -> Any:
    if os.path.splitext(path)[1] not in (".py", ".pyc"):
        print("configuration file should have a valid Python extension.\n", file=sys.stderr)
    loader = importlib.machinery.SourceFileLoader("__config__", os.path.abspath(path))
    if path.endswith(".pyc"):
        loader = importlib.machinery.SourcelessFileLoader("__config__", os.path.abspath(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("__config__", path, loader=loader))
    sys.modules["__config__"] = module
    loader.exec_module(module)
    return module


def _find_application(cfg: Config, positional: list[str]) -> None:
    if cfg.paste is not None:
        cfg.app_uri = cfg.paste
    elif positional:
        cfg.app_uri = positional[0]
    elif cfg.settings["wsgi_app"].value is not None:
        cfg.app_uri = cfg.wsgi_app
    else:
        raise ConfigFailure("No application module specified.")
    cfg.set("default_proc_name", cfg.app_uri)


def _check(cfg: Config) -> None:
    """What no single setting can be checked for."""
    _ = cfg.address, cfg.env
    for setting in ("certfile", "keyfile", "ca_certs"):
        path = getattr(cfg, setting)
        if path and not os.path.exists(path):
            raise ConfigFailure(f'{setting} "{path}" does not exist')
    if cfg.protocol not in ("http", "uwsgi"):
        raise ConfigFailure(f"Invalid protocol: {cfg.protocol}")
