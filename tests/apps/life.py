"""What the tests of processes ask: who are you, wait, die."""
import os
import signal
import sys
import time

VERSION = os.environ.get("LIFE_VERSION", "1")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":
        # Until the file named by the query exists: the test decides when.
        while not os.path.exists(environ["QUERY_STRING"]):
            time.sleep(0.01)
    elif path == "/spin":
        while True:
            pass
    elif path == "/exit":
        os._exit(9)
    elif path == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif path == "/log":
        print("a line from the application", file=environ["wsgi.errors"])
    elif path == "/fork":
        # A child of the application's own is none of the server's business.
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    body = f"{os.getpid()} {VERSION} {sys.argv[0]}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
