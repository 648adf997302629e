"""The engines of workers, with Gunicorn's hooks and worker classes in front of them."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Callable

from .hooks import Server
from .log import short_traceback
from .process import become
from .request_face import WatchedGateway
from .spec import Spec
from .threads import ThreadedWorker
from .titles import set_title
from .worker import Worker
from .wsgi import Gateway


class DropIn:
    """What all engines have in common. Mixed into one of them; `face` is the worker that hooks and subclasses see."""

    def __init__(self, spec: Spec, server: Server, access_in_python: bool) -> None:
        super().__init__(spec)
        self.face = spec.face
        self.cfg = self.face.cfg
        self.server = server
        self.access_in_python = access_in_python
        self.is_serving = False

    # Called by the face.

    def tell(self, name: str) -> None:
        """A hook that only wants to know the worker; it must not stand in the way of the end."""
        hook = self.cfg.hook(name)
        if hook is None:
            return
        try:
            hook(self.face)
        except Exception as error:
            self.log.error(f"Exception in the hook {name}\n{short_traceback(error)}")

    def tell_booted(self) -> None:
        self.cfg.post_worker_init(self.face)
        self.is_serving = True

    def show_life(self) -> None:
        pass

    def on_abort(self) -> None:
        gateway = getattr(self, "gateway", None)
        if gateway is not None:
            gateway.quitting = True
        raise SystemExit(1)

    # What the engine leaves to us.

    def boot(self) -> bool:
        if self.cfg.spew:
            spew()
        return super().boot()

    def _load_application(self) -> Callable[..., Any]:
        self.face.load_wsgi()
        return self.face.wsgi or self.face.app.wsgi()

    def _make_gateway(self, base: dict[str, Any]) -> Gateway:
        cfg, face = self.cfg, self.face
        base["wsgi.multithread"] = face.kind != "sync" or self.settings.threads > 1
        pre, post = cfg.hook("pre_request"), cfg.hook("post_request")
        if pre is None and cfg.loglevel.lower() == "debug":
            pre = _log_request
        access = self._access if self.access_in_python else None
        gateway = Gateway(self.app, base, self.log)
        if pre is not None or post is not None or access is not None:
            gateway = self._watched(base, pre, post, access)
        gateway.hints = True
        return gateway

    def _watched(self, base: dict[str, Any], pre: Any, post: Any, access: Any) -> Gateway:
        face = self.face
        return WatchedGateway(
            self.app,
            base,
            self.log,
            pre_request=None if pre is None else lambda request: pre(face, request),
            post_request=None if post is None else self._post_request(post),
            access=access,
        )

    def _access(self, response: Any, request: Any, environ: dict[str, Any], took: Any) -> None:
        self.face.log.access(response, request, environ, took)

    def _post_request(self, hook: Callable[..., Any]) -> Callable[..., None]:
        from .validators import arity

        count = arity(hook)
        wanted = 4 if count < 0 else count

        def call(*arguments: Any) -> None:
            try:
                hook(self.face, *arguments[: wanted - 1])
            except Exception:
                self.face.log.exception("Exception in post_request hook")

        return call

    def _on_change(self, file: str) -> None:
        self.tell("worker_int")
        super()._on_change(file)

    def _handlers(self) -> dict[int, Callable[..., Any]]:
        face = self.face
        return {
            # Behind faulthandler, which shows the stacks first.
            signal.SIGABRT: face.handle_abort,
            signal.SIGTERM: face.handle_exit,
            signal.SIGINT: face.handle_quit,
            signal.SIGQUIT: face.handle_quit,
            signal.SIGUSR1: self._on_usr1,
        }

    def _on_usr1(self, sig: int, frame: FrameType | None) -> None:
        self.face.handle_usr1(sig, frame)
        self.log.reopen()

    def _listen_to_signals(self) -> None:
        super()._listen_to_signals()
        self.face.init_signals()


class SyncEngine(DropIn, Worker):
    pass


class ThreadEngine(DropIn, ThreadedWorker):
    pass


def run_worker(spec: Spec, server: Server, kind: str, access_in_python: bool) -> int:
    """From the fork to the exit code."""
    face = spec.face
    face.pid = os.getpid()
    engine: Any = None
    try:
        set_title(f"gunicorn: worker [{face.cfg.proc_name}]")
        hook = face.cfg.hook("post_fork")
        if hook is not None:
            hook(server, face)
        become(spec.settings.uid, spec.settings.gid, spec.settings.user)
        engine = face.engine = _engine_type(face, kind, spec.settings.threads)(spec, server, access_in_python)
        face.init_process()
        return 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException as error:
        _tell_failure(spec, error, engine)
        return 3
    finally:
        _tell_end(server, face)


def _engine_type(face: Any, kind: str, threads: int) -> type:
    if kind == "gevent":
        from .greenlets import GreenletEngine, patch  # only where gevent is wanted

        patch(face)
        return GreenletEngine
    return ThreadEngine if threads > 1 else SyncEngine


def _tell_failure(spec: Spec, error: BaseException, engine: Any) -> None:
    text = short_traceback(error)
    if engine is not None and engine.is_serving:
        spec.log.error(f"Exception in worker process\n{text}")
        return
    import json

    try:
        spec.pipe.sendall(json.dumps({"type": "failed", "code": 3, "message": text}).encode() + b"\n")
    except OSError:
        spec.log.error(f"Exception in worker process\n{text}")


def _tell_end(server: Server, face: Any) -> None:
    faulthandler.cancel_dump_traceback_later()
    hook = face.cfg.hook("worker_exit")
    if hook is None:
        return
    try:
        hook(server, face)
    except BaseException as error:
        face.log.warning(f"Exception during worker exit:\n{short_traceback(error)}")


def _log_request(worker: Any, request: Any) -> None:
    worker.log.debug("%s %s", request.method, request.path)


def spew() -> None:
    """Prints every line that is executed, in every thread."""

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "line":
            code = frame.f_code
            sys.stdout.write(f"{code.co_filename}:{frame.f_lineno} {code.co_name}\n")
        return trace

    sys.settrace(trace)
    threading.settrace(trace)
