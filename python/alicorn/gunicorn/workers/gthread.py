"""Requests in a pool of threads."""

from gunicorn.workers.base import Worker


class ThreadWorker(Worker):
    kind = "gthread"
