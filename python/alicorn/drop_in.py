"""The arbiter of a drop-in for Gunicorn: reads the same settings once more, because hooks and loggers are Python's."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from . import worker_types
from .arbiter import Arbiter
from .child import Channel
from .config import Config, ConfigFailure, load
from .drop_in_settings import _wants_python_log
from .drop_in_worker import run_worker
from .hooks import GunicornHooks
from .log import Log
from .spec import Settings
from .titles import set_title


class LoggerLog(Log):
    """The engine's log, into Gunicorn's logger."""

    def __init__(self, logger: Any) -> None:
        super().__init__("-", "info")
        self.logger = logger
        self.threshold = getattr(logger, "loglevel", logging.INFO)
        # A number of our own: those of the logger's files change when they are opened anew.
        self.fd = os.dup(self._descriptor())

    def _descriptor(self) -> int:
        """Where stacks and what applications write to wsgi.errors go: the first file of the logger."""
        handlers = getattr(getattr(self.logger, "error_log", None), "handlers", [])
        for handler in handlers:
            stream = getattr(handler, "stream", None)
            try:
                return stream.fileno()
            except (AttributeError, OSError, ValueError):
                continue
        return 2

    def reopen(self) -> None:
        """The logger has opened its files."""
        os.dup2(self._descriptor(), self.fd, inheritable=False)

    def debug(self, message: str) -> None:
        self.logger.debug(_safe(message))

    def info(self, message: str) -> None:
        self.logger.info(_safe(message))

    def warning(self, message: str) -> None:
        self.logger.warning(_safe(message))

    def error(self, message: str) -> None:
        self.logger.error(_safe(message))

    def critical(self, message: str) -> None:
        self.logger.critical(_safe(message))


def _safe(message: str) -> str:
    return message.encode("utf-8", "backslashreplace").decode()


def run(channel: Channel, settings: Settings, early: list[dict[str, Any]]) -> int:
    """What start.main does for others. The exit code of the arbiter; and of the worker, in the process that is one."""
    facts = settings.gunicorn or {}
    worker_types.install_gunicorn()
    try:
        cfg = _prepare(facts)
        logger = worker_types.make_logger(cfg)
    except ConfigFailure as failure:
        return _failed(channel, 1, failure.message or "the configuration file could not be read")
    except SystemExit as error:  # argparse has said it
        return _failed(channel, int(error.code or 0), "the command line could not be read")
    _redirect(cfg)
    logger.close_on_exec()
    log = LoggerLog(logger)
    set_title(f"gunicorn: master [{cfg.proc_name}]")
    hooks = GunicornHooks(cfg, logger, facts)
    settings = settings._replace(chdir=os.getcwd(), reload_engine=cfg.reload_engine, reload_extra_files=_extra(cfg))
    result = Arbiter(channel, settings, log, early, hooks).run()
    if isinstance(result, int):
        return result
    kind, _ = worker_types.resolve(cfg)
    return run_worker(result, hooks.server, kind, _wants_python_log(cfg))


def _prepare(facts: dict[str, Any]) -> Config:
    """Where it was started, with the environment that it was started with, as the first step was."""
    os.chdir(facts["directory"])
    arguments = facts["arguments"]
    sys.argv = ["gunicorn", *arguments]
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    cfg = load(arguments, facts.get("version", ""))
    os.environ["SERVER_SOFTWARE"] = facts["server_software"]
    os.environ.update(cfg.env)
    os.environ["PWD"] = os.getcwd() if "PWD" not in cfg.env else cfg.env["PWD"]
    worker_types.extend_path(cfg)
    return cfg


def _extra(cfg: Config) -> list[str]:
    return [os.path.abspath(name) for name in cfg.reload_extra_files]


def _redirect(cfg: Config) -> None:
    if cfg.capture_output and cfg.errorlog != "-":
        from gunicorn.glogging import redirect_output  # ours

        redirect_output(cfg.errorlog)


def _failed(channel: Channel, code: int, message: str) -> int:
    channel.send({"type": "failed", "code": code, "message": message})
    return code
