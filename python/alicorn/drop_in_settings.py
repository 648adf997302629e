"""The drop-in's first step: reads Gunicorn's settings for the master, which only knows the web side's language.

`python …/alicorn --settings VERSION ARGUMENT…` writes them as one JSON object to descriptor 3. Nothing there: all is
said and done (--help, --version, --check-config, a mistake), and the exit code is that of the whole program.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

from . import tls_settings, worker_types
from .config import Config, ConfigFailure, load, parse_address
from .loader import LoadError
from .settings import NO_DIRTY, ROWS, FromEnvironment

OUTPUT_FD = 3
# What the access log of the web side can say; other atoms are known to the application's side alone.
_web_atoms = re.compile(r"%(?:%|\((?:[hlutrmUqHsBbfaTMDLp]|\{[^}]+\}[io])\)[-0-9.]*[sdr])")
# environ keys that the web side knows without the application: those of the request.
_web_environ = re.compile(
    r"\{(?:HTTP_\w+|REMOTE_ADDR|REMOTE_PORT|REQUEST_METHOD|QUERY_STRING|RAW_URI|SERVER_PROTOCOL|wsgi\.url_scheme)\}e",
    re.I,
)


def main(version: str, arguments: list[str]) -> int:
    output = os.dup(OUTPUT_FD)
    os.set_inheritable(output, False)
    worker_types.install_gunicorn()
    try:
        cfg = load(arguments, version)
        kind, _ = worker_types.resolve(cfg)
        tls = tls_settings.read(cfg)
        if cfg.print_config or cfg.check_config:
            return _check(cfg)
    except ConfigFailure as failure:
        return complain(failure)
    facts = json.dumps({"settings": _plain(cfg), **_derived(cfg, kind, tls)}, default=str)
    os.ftruncate(output, 0)
    os.pwrite(output, facts.encode(), 0)
    return 0


def complain(failure: ConfigFailure) -> int:
    if failure.message:
        print(f"\nError: {failure.message}", file=sys.stderr, flush=True)
    return 1


def _check(cfg: Config) -> int:
    if cfg.print_config:
        print(cfg, flush=True)
    os.environ.update(cfg.env)
    worker_types.extend_path(cfg)
    try:
        worker_types.load_application(cfg)
    except LoadError as error:
        print(f"\nError while loading the application:\n\n{error.message}", file=sys.stderr, flush=True)
        return 1
    return 0


def _plain(cfg: Config) -> dict[str, Any]:
    return {row.name: cfg.settings[row.name].value for row in ROWS if not row.is_hook}


def _derived(cfg: Config, kind: str, tls: dict[str, Any] | None) -> dict[str, Any]:
    threads = {"sync": 1, "gthread": max(1, cfg.threads), "gevent": cfg.worker_connections}[kind]
    addresses = [parse_address(text) for text in cfg.bind]
    return {
        "app": cfg.app_uri,
        "kind": kind,
        "threads": threads,
        "addresses": addresses,
        "directory": os.getcwd(),
        "name": cfg.proc_name,
        "userName": cfg.user_name,
        "accessInPython": _wants_python_log(cfg),
        "tls": tls,
        "http2": _speaks_h2(cfg),
        "control": _control(cfg),
        "notes": [*_notes(cfg), *(tls["notes"] if tls else [])],
    }


def _control(cfg: Config) -> dict[str, Any] | None:
    """A default that cannot be had is no matter: many do not know that there is one."""
    setting = cfg.settings["control_socket"]
    if cfg.control_socket_disable or not setting.value:
        return None
    wanted = setting.value != setting.row.default.read()
    return {"path": os.path.abspath(setting.value), "mode": cfg.control_socket_mode & 0o777, "wanted": wanted}


def _speaks_h2(cfg: Config) -> bool:
    """Over TLS as clients choose; without it to those who begin with it."""
    return "h2" in cfg.http_protocols if cfg.is_ssl else cfg.http2_cleartext in ("prior-knowledge", "both")


def _wants_python_log(cfg: Config) -> bool:
    """Only the application's side can call a logger of Python's, or knows what the application has put into environ."""
    syslog = cfg.syslog and not cfg.disable_redirect_access_to_syslog
    if cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json or syslog or cfg.statsd_host:
        return True
    if not worker_types.is_usual_logger(cfg):
        return True
    if not cfg.accesslog:
        return False
    rest = _web_atoms.sub("", _web_environ.sub("{x}i", cfg.access_log_format))
    return "%" in rest


def _notes(cfg: Config) -> list[str]:
    """What is accepted, and what applies instead."""
    notes = []
    for row in ROWS:
        default = row.default.read() if isinstance(row.default, FromEnvironment) else row.default
        value = cfg.settings[row.name].value
        given = cfg.hook(row.name) is not None if row.is_hook else value != default
        if row.note and given and not (row.note == NO_DIRTY and row.name != "dirty_apps"):
            notes.append(f"{row.name}: {row.note}")
    if not cfg.workers:
        notes.append("workers: 0 would serve nothing; there is one")
    return notes
