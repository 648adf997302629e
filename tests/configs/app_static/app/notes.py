"""A tiny WSGI application."""

import os


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/crash":
        raise RuntimeError("on purpose")
    if path == "/long":
        start_response("200 OK", [("Content-Type", "text/plain"), ("ETag", '"1"')])
        return [b"line\n"] * 100
    body = environ["wsgi.input"].read()
    facts = [
        os.environ["NOTES_TITLE"],
        environ["REQUEST_METHOD"],
        path,
        environ["QUERY_STRING"],
        environ.get("REMOTE_USER", "-"),
        environ.get("HTTP_HOST", "-"),
        body.decode(),
    ]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "notes")])
    return ["|".join(facts).encode()]
