"""`server`, and the hooks that run beside it: in the arbiter, which is the process that forks workers."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable

from . import worker_types
from .child import Child, Hooks
from .config import Config
from .loader import IMPORT_FAILED, NO_APPLICATION
from .log import short_traceback


class Listener:
    """One of `server.LISTENERS`: what it is bound to; the sockets themselves belong to the web side."""

    def __init__(self, address: str, is_secure: bool) -> None:
        self.cfg_addr = address
        self._scheme = "https" if is_secure else "http"

    def getsockname(self) -> Any:
        host, _, port = self.cfg_addr.rpartition(":")
        return self.cfg_addr[5:] if self.cfg_addr.startswith("unix:") else (host.strip("[]"), int(port))

    def __str__(self) -> str:
        return self.cfg_addr if self.cfg_addr.startswith("unix:") else f"{self._scheme}://{self.cfg_addr}"


class Application:
    """`server.app`, `worker.app`."""

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.app_uri = cfg.app_uri
        self.callable: Callable[..., Any] | None = None

    def wsgi(self) -> Callable[..., Any]:
        """The application, loaded once in each process. Raises LoadError."""
        if self.callable is None:
            self.callable = worker_types.load_application(self.cfg)
        return self.callable


class Server:
    """The `server` of hooks."""

    def __init__(self, cfg: Config, log: Any, facts: dict[str, Any]) -> None:
        self.cfg = cfg
        self.log = log
        self.app = Application(cfg)
        # The process to send signals to.
        self.pid = facts.get("master", os.getppid())
        self.WORKERS: dict[int, Any] = {}
        self.LISTENERS = [Listener(address, cfg.is_ssl) for address in facts.get("listening", [])]
        self.num_workers = cfg.workers
        self.worker_age = facts.get("worker_age", 0)
        self.timeout = cfg.timeout
        self.proc_name = cfg.proc_name
        self.master_name = "Master"
        self.master_pid = self.reexec_pid = 0
        self.systemd = "LISTEN_FDS" in os.environ

    @property
    def address(self) -> list[Any]:
        return self.cfg.address

    @property
    def worker_class(self) -> type:
        return worker_types.resolve(self.cfg)[1]


class GunicornHooks(Hooks):
    """Tells the configuration's hooks what the arbiter does."""

    forwards_signals = True

    def __init__(self, cfg: Config, log: Any, facts: dict[str, Any]) -> None:
        self.cfg = cfg
        self.log = log
        self.facts = facts
        self.server = Server(cfg, log, facts)
        # How many requests had waited, and for how long, when that was last looked at; None after a reload.
        self.queues: tuple[int, float] | None = None if facts.get("reloading") else (0, 0.0)
        self.worker_class = worker_types.resolve(cfg)[1]

    def _call(self, name: str, *arguments: Any) -> None:
        hook = self.cfg.hook(name)
        if hook is not None:
            hook(*arguments)

    def _try(self, name: str, *arguments: Any) -> None:
        """What goes wrong in it must not end a service that runs."""
        try:
            self._call(name, *arguments)
        except Exception as error:
            self.log.error(f"Exception in the hook {name}\n{short_traceback(error)}")

    def setting_up(self, workers: int) -> None:
        self.worker_class.setup()
        self.worker_class.check_config(self.cfg, self.log)
        before = self.facts.get("previous_workers")
        self.server.num_workers = workers
        if before != workers:
            self._try("nworkers_changed", self.server, workers, before)
        self._count_workers(workers)

    def load(self, app: str) -> Callable[..., Any]:
        return self.server.app.wsgi()

    def starting(self) -> None:
        if self.facts.get("reloading"):
            self._call("on_reload", self.server)
            return
        self._call("on_starting", self.server)
        self._call("when_ready", self.server)

    def forking(self) -> Any:
        server = self.server
        server.worker_age += 1
        face = self.worker_class(
            server.worker_age, os.getpid(), server.LISTENERS, server.app, self.cfg.timeout / 2, self.cfg, self.log
        )
        self._try("pre_fork", server, face)
        return face

    def forked(self, child: Child) -> None:
        child.face.pid = child.pid
        self.server.WORKERS[child.pid] = child.face

    def ended(self, child: Child, code: int) -> None:
        self.server.WORKERS.pop(child.pid, None)
        boot_failed = child.reason is not None and child.reason["code"] in (IMPORT_FAILED, NO_APPLICATION)
        if not boot_failed:
            self._try("child_exit", self.server, child.face)

    def resized(self, workers: int) -> None:
        before, self.server.num_workers = self.server.num_workers, workers
        if before != workers:
            self._try("nworkers_changed", self.server, workers, before)
            self._count_workers(workers)

    def _count_workers(self, workers: int) -> None:
        if self.cfg.statsd_host:
            self._tell("gunicorn.workers", workers, "gauge")

    def measured(self, busy: int, waiting: int, waited: int, seconds: float) -> None:
        if not self.cfg.statsd_host:
            return
        self._tell("gunicorn.workers.busy", busy, "gauge")
        self._tell("gunicorn.requests.waiting", waiting, "gauge")
        if self.cfg.enable_backlog_metric:
            self._tell("gunicorn.backlog", waiting, "histogram")
        before, self.queues = self.queues, (waited, seconds)
        if before is not None and waited > before[0]:
            waited_before, seconds_before = before
            mean = (seconds - seconds_before) / (waited - waited_before)
            self._tell("gunicorn.request.queue_time", mean * 1000, "timer")

    def _tell(self, metric: str, value: float, kind: str) -> None:
        self.log.debug("", extra={"metric": metric, "value": value, "mtype": kind})

    def upgrading(self) -> None:
        """In a process of its own, as in Gunicorn: what the hook changes there is not ours."""
        if self.cfg.hook("pre_exec") is None:
            return
        pid = os.fork()
        if pid == 0:
            self._try("pre_exec", self.server)
            sys.stdout.flush()
            os._exit(0)

    def reopening(self) -> None:
        self.log.reopen_files()

    def finished(self, for_good: bool) -> None:
        if for_good:
            self._try("on_exit", self.server)
