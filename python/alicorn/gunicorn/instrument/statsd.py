"""A logger that also counts, and tells StatsD (UDP, or a Unix socket)."""

from __future__ import annotations

import logging
import socket
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

METRIC_VAR, VALUE_VAR, MTYPE_VAR = "metric", "value", "mtype"
GAUGE_TYPE, COUNTER_TYPE, HISTOGRAM_TYPE, TIMER_TYPE = "gauge", "counter", "histogram", "timer"


class Statsd(Logger):
    """Lines with `extra={"metric": …, "value": …, "mtype": …}` are metrics; those without text are nothing else."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.prefix = cfg.statsd_prefix
        if self.prefix and not self.prefix.endswith("."):
            self.prefix += "."
        self.dogstatsd_tags = cfg.dogstatsd_tags
        is_unix = isinstance(cfg.statsd_host, str)
        try:
            self.sock = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.connect(cfg.statsd_host)
            self.sock.setblocking(False)
        except OSError:
            self.sock = None

    def critical(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().critical(msg, *args, **kwargs)
        self.increment("gunicorn.log.critical", 1)

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().error(msg, *args, **kwargs)
        self.increment("gunicorn.log.error", 1)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().warning(msg, *args, **kwargs)
        self.increment("gunicorn.log.warning", 1)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().exception(msg, *args, **kwargs)
        self.increment("gunicorn.log.exception", 1)

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.log(logging.INFO, msg, *args, **kwargs)

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.log(logging.DEBUG, msg, *args, **kwargs)

    def log(self, lvl: Any, msg: str, *args: Any, **kwargs: Any) -> None:
        extra = kwargs.get("extra") or {}
        metric, value, kind = extra.get(METRIC_VAR), extra.get(VALUE_VAR), extra.get(MTYPE_VAR)
        if metric and value is not None and kind:
            send = {
                GAUGE_TYPE: self.gauge,
                COUNTER_TYPE: self.increment,
                HISTOGRAM_TYPE: self.histogram,
                TIMER_TYPE: self.timer,
            }.get(kind)
            if send is not None:
                send(metric, value)
        if msg:
            super().log(lvl, msg, *args, **kwargs)

    def access(self, resp: Any, req: Any, environ: dict, request_time: timedelta) -> None:
        super().access(resp, req, environ, request_time)
        status = str(resp.status).split(None, 1)[0]
        self.timer("gunicorn.request.duration", request_time.total_seconds() * 1000)
        self.increment("gunicorn.requests", 1)
        self.increment(f"gunicorn.request.status.{status}", 1)

    def gauge(self, name: str, value: float) -> None:
        self._sock_send(f"{self.prefix}{name}:{value}|g")

    def increment(self, name: str, value: float, sampling_rate: float = 1.0) -> None:
        self._sock_send(f"{self.prefix}{name}:{value}|c|@{sampling_rate}")

    def timer(self, name: str, value: float) -> None:
        self._sock_send(f"{self.prefix}{name}:{value}|ms")

    def histogram(self, name: str, value: float) -> None:
        self._sock_send(f"{self.prefix}{name}:{value}|h")

    def _sock_send(self, text: str) -> None:
        if self.sock is None:
            return
        if self.dogstatsd_tags:
            text += f"|#{self.dogstatsd_tags}"
        try:
            self.sock.send(text.encode())
        except OSError:
            pass  # metrics may be lost, requests not
