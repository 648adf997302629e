"""The logger of Gunicorn's documentation, for configurations that name, configure or derive it."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import logging.config
import logging.handlers
import os
import socket
import sys
import threading
import time
import traceback
from datetime import timedelta
from typing import Any

CONFIG_DEFAULTS = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {
            "level": "INFO",
            "handlers": ["error_console"],
            "propagate": True,
            "qualname": "gunicorn.error",
        },
        "gunicorn.access": {
            "level": "INFO",
            "handlers": ["console"],
            "propagate": True,
            "qualname": "gunicorn.access",
        },
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stdout"},
        "error_console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"},
    },
    "formatters": {
        "generic": {
            "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
            "class": "logging.Formatter",
        }
    },
}


class SafeAtoms(dict):
    """What an access log's format may ask for: unknown atoms are "-", and no value ends its quotes or the line."""

    def __init__(self, atoms: dict[str, Any]) -> None:
        super().__init__()
        for key, value in atoms.items():
            self[key] = _escaped(value) if isinstance(value, str) else value

    def __getitem__(self, key: str) -> Any:
        if key.startswith("{"):
            key = key.lower()
        return super().get(key, "-")


def _escaped(text: str) -> str:
    text = text.replace('"', '\\"')
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "".join(f"\\x{b:02X}" for b in c.encode("utf-8", "replace")) for c in text)


class Logger:
    LOG_LEVELS = {  # noqa: RUF012 (never changed)
        "critical": logging.CRITICAL,
        "error": logging.ERROR,
        "warning": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
    }
    loglevel = logging.INFO
    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = "[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"
    atoms_wrapper_class = SafeAtoms

    def __init__(self, cfg: Any) -> None:
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.propagate = False
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.propagate = False
        self.error_handlers: list[logging.Handler] = []
        self.access_handlers: list[logging.Handler] = []
        self.logfile = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg: Any) -> None:
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        self._set_handler(self.error_log, cfg.errorlog, logging.Formatter(self.error_fmt, self.datefmt))
        if cfg.accesslog is not None:
            self._set_handler(self.access_log, cfg.accesslog, logging.Formatter(self.access_fmt), sys.stdout)
        if cfg.syslog:
            self._set_syslog_handler(self.error_log, cfg, "error")
            if not cfg.disable_redirect_access_to_syslog:
                self._set_syslog_handler(self.access_log, cfg, "access")
        if cfg.logconfig_dict:
            logging.config.dictConfig({**CONFIG_DEFAULTS, **cfg.logconfig_dict})
        elif cfg.logconfig_json:
            if os.path.exists(cfg.logconfig_json):
                with open(cfg.logconfig_json) as file:
                    logging.config.dictConfig({**CONFIG_DEFAULTS, **json.load(file)})
        elif cfg.logconfig:
            if not os.path.exists(cfg.logconfig):
                raise RuntimeError(f"Error: log config '{cfg.logconfig}' not found")
            defaults = {**CONFIG_DEFAULTS, "__file__": cfg.logconfig, "here": os.path.dirname(cfg.logconfig)}
            plain = {key: value for key, value in defaults.items() if isinstance(value, str)}
            logging.config.fileConfig(cfg.logconfig, defaults=plain, disable_existing_loggers=False)

    def critical(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl: Any, msg: str, *args: Any, **kwargs: Any) -> None:
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **kwargs)

    # The access log.

    @property
    def access_log_enabled(self) -> bool:
        cfg = self.cfg
        has_config = cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
        return bool(cfg.accesslog or has_config or (cfg.syslog and not cfg.disable_redirect_access_to_syslog))

    def atoms(self, resp: Any, req: Any, environ: dict, request_time: timedelta) -> dict[str, Any]:
        status = resp.status
        if isinstance(status, str):
            status = status.split(None, 1)[0]
        seconds = request_time.total_seconds()
        micros = int(seconds * 1_000_000)
        atoms = {
            "h": environ.get("REMOTE_ADDR") or "-",
            "l": "-",
            "u": _basic_user(environ) or "-",
            "t": self.now(),
            "r": f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}",
            "s": status,
            "m": environ.get("REQUEST_METHOD"),
            "U": environ.get("PATH_INFO"),
            "q": environ.get("QUERY_STRING"),
            "H": environ.get("SERVER_PROTOCOL"),
            "b": str(resp.sent) if getattr(resp, "sent", None) is not None else "-",
            "B": getattr(resp, "sent", None),
            "f": environ.get("HTTP_REFERER", "-"),
            "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": int(seconds),
            "D": micros,
            "M": micros // 1000,
            "L": f"{micros // 1_000_000}.{micros % 1_000_000:06d}",
            "p": f"<{os.getpid()}>",
        }
        atoms.update((f"{{{name.lower()}}}i", value) for name, value in getattr(req, "headers", ()))
        atoms.update((f"{{{name.lower()}}}o", value) for name, value in getattr(resp, "headers", ()))
        atoms.update((f"{{{name.lower()}}}e", value) for name, value in environ.items())
        return atoms

    def access(self, resp: Any, req: Any, environ: dict, request_time: timedelta) -> None:
        if not self.access_log_enabled:
            return
        safe = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
        try:
            self.access_log.info(self.cfg.access_log_format, safe)
        except Exception:
            self.error(traceback.format_exc())

    def now(self) -> str:
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    # Files.

    def _handlers(self) -> list[logging.Handler]:
        return [each for log in (self.error_log, self.access_log) for each in log.handlers]

    def reopen_files(self) -> None:
        """Of a rotation: the files that have their names now."""
        if self.cfg.capture_output and self.cfg.errorlog != "-":
            redirect_output(self.cfg.errorlog)
        for handler in self._handlers():
            if isinstance(handler, logging.FileHandler):
                handler.acquire()
                try:
                    if handler.stream:
                        handler.close()
                        handler.stream = handler._open()
                finally:
                    handler.release()

    def close_on_exec(self) -> None:
        for handler in self._handlers():
            stream = getattr(handler, "stream", None)
            if isinstance(handler, logging.FileHandler) and stream is not None:
                os.set_inheritable(stream.fileno(), False)

    def _get_gunicorn_handler(self, log: logging.Logger) -> logging.Handler | None:
        return next((each for each in log.handlers if getattr(each, "_gunicorn", False)), None)

    def _set_handler(self, log: logging.Logger, output: str | None, fmt: logging.Formatter, stream: Any = None) -> None:
        self._replace(log, None)
        if output is None:
            return
        if output == "-":
            handler: logging.Handler = logging.StreamHandler(stream)
        else:
            handler = logging.FileHandler(output)
            # Workers open it again after a rotation, when they are no longer root.
            if os.geteuid() == 0:
                os.chown(handler.baseFilename, self.cfg.user, self.cfg.group)
        handler.setFormatter(fmt)
        self._replace(log, handler)

    def _replace(self, log: logging.Logger, handler: logging.Handler | None) -> None:
        before = self._get_gunicorn_handler(log)
        if before is not None:
            log.handlers.remove(before)
        if handler is not None:
            handler._gunicorn = True
            log.addHandler(handler)

    def _set_syslog_handler(self, log: logging.Logger, cfg: Any, name: str) -> None:
        prefix = cfg.syslog_prefix or cfg.proc_name.replace(":", ".")
        facility = logging.handlers.SysLogHandler.facility_names.get(cfg.syslog_facility.lower())
        if facility is None:
            raise RuntimeError("unknown facility name")
        kind, address = parse_syslog_address(cfg.syslog_addr)
        handler = logging.handlers.SysLogHandler(address=address, facility=facility, socktype=kind)
        handler.setFormatter(logging.Formatter(f"gunicorn.{prefix}.{name}: {self.syslog_fmt}"))
        handler._gunicorn = True
        log.addHandler(handler)


def _basic_user(environ: dict) -> str | None:
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials.strip().encode()).split(b":", 1)[0].decode()
    except (ValueError, binascii.Error):
        return None


def parse_syslog_address(text: str) -> tuple[int | None, Any]:
    """`unix://PATH[#dgram|#stream]`, `udp://HOST:PORT`, `tcp://HOST:PORT`."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise RuntimeError("invalid syslog address")
    if scheme == "unix":
        path, _, kind = rest.partition("#")
        return {"dgram": socket.SOCK_DGRAM, "stream": socket.SOCK_STREAM}.get(kind), path
    host, _, port = rest.rpartition(":")
    if not port.isdigit():
        host, port = rest, "514"
    return socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM, (host.strip("[]") or "localhost", int(port))


def redirect_output(path: str) -> None:
    """Standard output and error into a file."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
