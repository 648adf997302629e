"""From the process that the master starts to the arbiter, and from the arbiter to the worker that a fork becomes."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from .arbiter import SCOREBOARD_FD, Arbiter
from .child import Channel
from .log import Log
from .process import become
from .spec import Settings, Spec
from .worker import Worker


def _prepare_environment(settings: Settings) -> None:
    """What the application is to find: its folder, its variables, its place on the path."""
    for pair in settings.env:
        name, _, value = pair.partition("=")
        os.environ[name] = value
    folder = settings.chdir or os.getcwd()
    os.chdir(folder)
    os.environ["PWD"] = folder
    sys.path.insert(0, folder)
    sys.argv = ["alicorn", settings.app]


def _run_worker(spec: Spec) -> int:
    become(spec.settings.uid, spec.settings.gid, spec.settings.user)
    if spec.settings.threads > 1:
        from .threads import ThreadedWorker  # only where it is wanted

        return ThreadedWorker(spec).run()
    return Worker(spec).run()


def _channel_from_environment() -> Channel:
    """Takes the descriptor out of the environment: programs that the application starts must not think it is theirs."""
    os.environ.pop("NODE_CHANNEL_SERIALIZATION_MODE", None)
    fd = int(os.environ.pop("NODE_CHANNEL_FD"))
    os.set_inheritable(fd, False)
    os.set_inheritable(SCOREBOARD_FD, False)
    sock = socket.socket(fileno=fd)
    sock.setblocking(True)
    return Channel(sock)


def _start_message(channel: Channel) -> tuple[Settings, list[dict[str, Any]]] | None:
    while True:
        messages = channel.receive()
        if messages is None:
            return None
        if messages:
            return Settings.of(messages[0]), messages[1:]


def main() -> int:
    if sys.argv[1:2] == ["--settings-table"]:
        from . import settings  # for the reference page

        print(settings.table())
        return 0
    if sys.argv[1:2] == ["--settings"]:
        from . import drop_in_settings  # the drop-in's first step

        return drop_in_settings.main(sys.argv[2], sys.argv[3:])
    if "NODE_CHANNEL_FD" not in os.environ:
        print("This is started by alicorn itself: run `alicorn MODULE:VARIABLE`.", file=sys.stderr)
        return 1
    channel = _channel_from_environment()
    started = _start_message(channel)
    if started is None:
        return 0  # the master has changed its mind
    settings, early = started
    if settings.gunicorn is not None:
        from . import drop_in  # only who asks for it pays for it

        return drop_in.run(channel, settings, early)
    log = Log(settings.errorlog, settings.loglevel)
    _prepare_environment(settings)
    result = Arbiter(channel, settings, log, early).run()
    return result if isinstance(result, int) else _run_worker(result)
