"""Requests in greenlets."""

from gunicorn.workers.base import Worker


class GeventWorker(Worker):
    kind = "gevent"

    def patch(self) -> None:
        """Makes the standard library wait in greenlets. Called before the application is loaded."""
        from gevent import monkey

        monkey.patch_all()


PyWSGIWorker = GeventPyWSGIWorker = GeventWorker
