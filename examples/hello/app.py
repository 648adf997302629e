"""The smallest useful WSGI application: the standard library is all it needs."""
import time


def app(environ, start_response):
    body = f"Hello from Alicorn! You asked for {environ['PATH_INFO']} at {time.strftime('%H:%M:%S')}.\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
