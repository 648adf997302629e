"""CPU µs per "hello" request in a worker, batched as by a busy web worker: `python python/tests/bench_hello.py`.

Counts the worker's own user and system time (from /proc), so that the driver's share is left out.
"""

from __future__ import annotations

import os
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from tests.webside import Master, environ_list, request  # noqa: E402

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]
"""
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(threads: int, batch: int, requests: int) -> float:
    environ = environ_list(HTTP_USER_AGENT="wrk/4.1.0", HTTP_ACCEPT="*/*")
    with Master(APP, threads=threads) as master:
        link = master.link()
        data = b"".join(request(ident, environ) for ident in range(batch))
        size = len(b"".join((link.get(0).payload, b"\0" * 12))) * batch
        before = cpu(link.pid)
        for _ in range(requests // batch):
            link.sock.sendall(data)
            got = 0
            while got < size:
                got += len(link.sock.recv(1 << 20))
        return (cpu(link.pid) - before) / (requests // batch * batch) * 1e6


if __name__ == "__main__":
    for threads, batch in ((1, 64), (1, 16), (1, 1), (4, 64), (4, 4)):
        best = min(measure(threads, batch, 200_000 if batch > 1 else 50_000) for _ in range(3))
        print(f"threads {threads}, batches of {batch:2}: {best:5.2f} µs CPU per request")
