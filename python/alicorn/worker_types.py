"""Which worker runs the application, what `import gunicorn` means in it, and how Gunicorn loads it."""

from __future__ import annotations

import configparser
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from typing import Any, Callable

from . import loader
from .config import Config, ConfigFailure
from .log import short_traceback

_aliases = {
    "sync": "gunicorn.workers.sync.SyncWorker",
    "gthread": "gunicorn.workers.gthread.ThreadWorker",
    "gevent": "gunicorn.workers.ggevent.GeventWorker",
    # Gevent's own HTTP server is not needed where HTTP has been read already.
    "gevent_wsgi": "gunicorn.workers.ggevent.GeventWorker",
    "gevent_pywsgi": "gunicorn.workers.ggevent.GeventWorker",
}
_not_yet = {
    "asgi": "ASGI applications are not served yet",
    "uvicorn": "ASGI applications are not served yet",
    "aiohttp": "aiohttp's worker brings a server of its own; run it as an application of its own behind `proxy_pass`",
    "tornado": "Tornado's worker brings a server of its own; a WSGI application runs as well with -k gthread",
    "eventlet": "eventlet workers were removed from Gunicorn 26; use gevent or gthread",
    "geventwebsocket": "WebSockets are not passed on to WSGI applications; use gevent without them",
    "meinheld": "Meinheld's worker brings a server of its own; use gevent or gthread",
}


def install_gunicorn() -> None:
    """`import gunicorn` finds the names that configurations use, made for this server; an installed one is not looked
    at, because its workers and loggers know nothing of us."""
    if "gunicorn" in sys.modules:
        return
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gunicorn")
    spec = importlib.util.spec_from_file_location(
        "gunicorn", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["gunicorn"] = package
    spec.loader.exec_module(package)


def resolve(cfg: Config) -> tuple[str, type]:
    """What kind of worker it is (sync, gthread or gevent), and its class. Raises ConfigFailure."""
    given = cfg.settings["worker_class"].value
    if given is None:
        given = "sync"
    if not inspect.isclass(given):
        given = _import_class(given)
    from gunicorn.workers.base import Worker  # ours, see install_gunicorn

    if not issubclass(given, Worker):
        raise ConfigFailure(
            f"{given.__module__}.{given.__qualname__} is no worker class of Gunicorn's that can run here"
        )
    kind = given.kind
    if kind == "sync" and cfg.threads > 1:
        kind = "gthread"
    if kind == "gevent" and importlib.util.find_spec("gevent") is None:
        raise ConfigFailure(_invalid("gevent", f"gevent is not installed for this Python ({sys.executable})"))
    return kind, given


def _import_class(uri: str) -> type:
    name = uri.rpartition("#")[2] if uri.startswith("egg:") else uri
    for word, why in _not_yet.items():
        if name == word or name.startswith((f"{word}.", f"{word}_")) or f".{word}." in name:
            raise ConfigFailure(_invalid(uri, why))
    path = _aliases.get(name, name).replace(":", ".")
    module, _, attribute = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute) if module else None
    except Exception:
        raise ConfigFailure(_invalid(uri, traceback.format_exc())) from None
    if not inspect.isclass(found):
        raise ConfigFailure(_invalid(uri, f"there is no worker class {name!r}"))
    return found


def _invalid(uri: str, why: str) -> str:
    return f"class uri {uri!r} invalid or not found: \n\n[{why}]"


def is_usual_logger(cfg: Config) -> bool:
    given = cfg.settings["logger_class"].value
    return given in (None, "simple", "gunicorn.glogging.Logger") or (
        inspect.isclass(given) and given.__module__ == "gunicorn.glogging" and given.__name__ == "Logger"
    )


def make_logger(cfg: Config) -> Any:
    """The logger that the settings ask for. Raises ConfigFailure."""
    given = cfg.settings["logger_class"].value
    if is_usual_logger(cfg):
        given = "gunicorn.instrument.statsd.Statsd" if cfg.statsd_host else "gunicorn.glogging.Logger"
    try:
        if not inspect.isclass(given):
            module, _, name = given.replace(":", ".").rpartition(".")
            given = getattr(importlib.import_module(module), name)
        return given(cfg)
    except Exception as error:
        raise ConfigFailure(f"logger_class {given}: {short_traceback(error)}") from None


def extend_path(cfg: Config) -> None:
    for folder in (cfg.pythonpath or "").split(","):
        path = os.path.abspath(folder.strip())
        if folder.strip() and path not in sys.path:
            sys.path.insert(0, path)


def load_application(cfg: Config) -> Callable[..., Any]:
    """Raises LoadError."""
    if cfg.paste is None:
        return loader.load(cfg.app_uri)
    try:
        deploy = importlib.import_module("paste.deploy")
    except ImportError:
        message = f"--paste needs PasteDeploy, which is not installed for this Python ({sys.executable})"
        raise loader.LoadError(loader.IMPORT_FAILED, message) from None
    path, _, name = cfg.paste.partition("#")
    try:
        return deploy.loadapp(f"config:{os.path.abspath(path)}", name or None, global_conf=cfg.paste_global_conf)
    except (Exception, configparser.Error) as error:
        raise loader.LoadError(loader.IMPORT_FAILED, short_traceback(error)) from None
