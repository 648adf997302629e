"""The validator in front of frameworks, which read wsgi.input more freely than it allows: `read()` without a size."""

from wsgiref.validate import validator


class _Input:
    """Asks for what is left piece by piece."""

    def __init__(self, stream):
        self.stream = stream
        self.readline = stream.readline
        self.readlines = stream.readlines

    def __iter__(self):
        return iter(self.stream)

    def read(self, size=-1):
        if size is not None and size >= 0:
            return self.stream.read(size)
        return b"".join(iter(lambda: self.stream.read(65536), b""))


def strict(app):
    def lenient(environ, start_response):
        environ["wsgi.input"] = _Input(environ["wsgi.input"])
        return app(environ, start_response)

    return validator(lenient)
