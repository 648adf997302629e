"""Requests and responses as hooks and loggers of Gunicorn's see them. Only made where somebody looks."""

from __future__ import annotations

from datetime import timedelta
from threading import local
from time import monotonic
from typing import Any, Callable, Iterable

from .response import Response
from .wsgi import Gateway


class RequestFace:
    """`req`, read from the environ."""

    trailers: tuple = ()

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    @property
    def method(self) -> str:
        return self.environ["REQUEST_METHOD"]

    @property
    def uri(self) -> str:
        return self.environ["RAW_URI"]

    @property
    def path(self) -> str:
        path = self.uri.partition("#")[0].partition("?")[0]
        return path if path.startswith("/") or "://" not in path else "/" + path.partition("://")[2].partition("/")[2]

    @property
    def query(self) -> str:
        return self.environ["QUERY_STRING"]

    @property
    def fragment(self) -> str:
        return self.uri.partition("#")[2]

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.environ["SERVER_PROTOCOL"].partition("/")[2].split("."))

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in upper case."""
        found = []
        for key, value in self.environ.items():
            if key.startswith("HTTP_"):
                found.append((key[5:].replace("_", "-"), value))
            elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                found.append((key.replace("_", "-"), value))
        return found

    @property
    def body(self) -> Any:
        return self.environ["wsgi.input"]

    @property
    def scheme(self) -> str:
        return self.environ["wsgi.url_scheme"]

    @property
    def remote_addr(self) -> Any:
        if "REMOTE_PORT" not in self.environ:
            return self.environ["REMOTE_ADDR"]
        return self.environ["REMOTE_ADDR"], int(self.environ["REMOTE_PORT"])

    peer_addr = remote_addr

    @property
    def proxy_protocol_info(self) -> dict[str, Any] | None:
        environ = self.environ
        if "PROXY_PROTOCOL" not in environ:
            return None
        return {
            "proxy_protocol": environ["PROXY_PROTOCOL"],
            "client_addr": environ["REMOTE_ADDR"],
            "client_port": int(environ.get("REMOTE_PORT", 0)),
            "proxy_addr": environ["PROXY_ADDR"],
            "proxy_port": int(environ["PROXY_PORT"]),
        }

    def should_close(self) -> bool:
        return self.environ.get("HTTP_CONNECTION", "").lower() == "close"


class ResponseFace:
    """`resp`: what the application has answered."""

    def __init__(self) -> None:
        self.status = "500 Internal Server Error"
        self.headers: list[tuple[str, str]] = []
        self.sent = 0

    @property
    def status_code(self) -> int:
        return int(self.status[:3])

    @property
    def response_length(self) -> int | None:
        lengths = [value for name, value in self.headers if name.lower() == "content-length"]
        return int(lengths[0]) if lengths else None

    @property
    def headers_sent(self) -> bool:
        return True

    def settle(self, response: Response, body: int) -> None:
        """All is over: the sums. `body`: bytes of a response that was there at once."""
        status = getattr(response, "status", 500)
        if self.status[:3] != str(status):  # the application has failed after start_response
            self.status, self.headers, body = f"{status} Internal Server Error", [], 0
        self.sent = 0 if response.is_head else getattr(response, "sent", None) or body


class _Turn(local):
    """The request that a thread is busy with."""

    environ: dict[str, Any] | None = None


class WatchedGateway(Gateway):
    """Calls `pre_request`, `post_request` and `access` around each request. Any of them may be None."""

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        base: dict[str, Any],
        log: Any,
        pre_request: Callable[..., Any] | None,
        post_request: Callable[..., Any] | None,
        access: Callable[..., Any] | None,
    ) -> None:
        super().__init__(self._call, base, log)
        self._application = app
        self._pre_request = pre_request
        self._post_request = post_request
        self._access = access
        self._turn = _Turn()
        self.begun = 0

    def serve(self, link: Any, ident: int, flags: int, text: str, body: bytes) -> None:
        turn = self._turn
        turn.environ = None
        self.begun += 1
        began = monotonic()
        try:
            super().serve(link, ident, flags, text, body)
        finally:
            if turn.environ is not None:
                self._after(turn, monotonic() - began)

    def _call(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        turn = self._turn
        turn.environ = environ
        turn.request = RequestFace(environ)
        turn.face = face = ResponseFace()
        turn.response = start_response.__self__
        turn.body = 0

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
            write = start_response(status, headers, exc_info)
            face.status, face.headers = status, list(headers)
            return write

        if self._pre_request is not None:
            self._pre_request(turn.request)
        blocks = self._application(environ, start)
        if type(blocks) in (list, tuple):
            turn.body = sum(map(len, blocks))
        return blocks

    def _after(self, turn: Any, seconds: float) -> None:
        turn.face.settle(turn.response, turn.body or getattr(turn.response, "length", None) or 0)
        try:
            if self._access is not None:
                self._access(turn.face, turn.request, turn.environ, timedelta(seconds=seconds))
        finally:
            if self._post_request is not None:
                self._post_request(turn.request, turn.environ, turn.face)
