"""Response heads: what start_response is given, checked and made into the protocol's head list."""

from __future__ import annotations

import re

_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch  # RFC 9110 5.6.2
_forbidden_in_value = re.compile(
    "[^\t\x20-\x7e\x80-\xff]"
).search  # RFC 9110 5.5; also excludes what latin-1 cannot say
_forbidden_in_head = re.compile("[^\t\n\x20-\x7e\x80-\xff]").search
# What is not the application's to say on this connection (RFC 9110 7.6.1, PEP 3333 "Other HTTP Features"), and
# what the web worker says itself. The same list as Gunicorn's.
_not_the_applications = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding",
    "upgrade", "server", "date",
}  # fmt: skip
_KEEP, _DROP, _LENGTH = 1, 2, 3
# Names seen and found good. Bounded, because an application may make names up.
_kinds: dict[str, int] = {}
_statuses: dict[str, tuple[int, str]] = {}
# Whole heads: an application that repeats a head exactly has it encoded once. Ten times cheaper than encoding it.
_heads: dict[tuple, tuple[int, bytes, int | None]] = {}
_cache_entries = 512
_cached_head_bytes = 1024


def encode_head(status: str, headers: list[tuple[str, str]]) -> tuple[int, bytes, int | None]:
    """Checks a head and makes the protocol's head list: status code, list, the application's Content-Length."""
    code, reason = (isinstance(status, str) and _statuses.get(status)) or _parse_status(status)
    parts = [reason]
    length = None
    for name, value in headers:
        kind = _kinds.get(name) or _classify(name)
        if kind == _KEEP:
            parts += name, value
        elif kind == _LENGTH:
            length = _parse_length(value, length)
            if code != 204:  # RFC 9110 8.6
                parts += name, value
    try:
        text = "\n".join(parts)
    except TypeError:
        text = "\0"
    # One regex for all values; a line feed inside a value shows in the count.
    if _forbidden_in_head(text) or text.count("\n") != len(parts) - 1:
        _explain(headers)
    return code, text.encode("latin-1"), length


def encode_fields(headers: list[tuple[str, str]]) -> bytes:
    """Fields without a status: checked, and what is not the application's to say left out."""
    _, head, _ = encode_head("200 ", [(name, value) for name, value in headers if name.lower() != "content-length"])
    return head.partition(b"\n")[2]


def cached_head(status: str, headers: list[tuple[str, str]]) -> tuple[int, bytes, int | None]:
    headers = headers if type(headers) is list else list(headers)
    key = (status, *headers)
    try:
        found = _heads.get(key)
    except TypeError:  # pairs that are lists
        return encode_head(status, headers)
    if found is None:
        found = encode_head(status, headers)
        if len(found[1]) <= _cached_head_bytes:
            if len(_heads) >= _cache_entries:
                _heads.clear()
            _heads[key] = found
    return found


def _parse_status(status: str) -> tuple[int, str]:
    if not isinstance(status, str):
        raise TypeError(f"status must be a str like '200 OK', not {status!r}")
    code, _, reason = status.partition(" ")
    if len(code) != 3 or not (code.isascii() and code.isdigit()):
        raise ValueError(f"status must be three digits, a space and a reason, like '200 OK', not {status!r}")
    if int(code) < 200:
        raise ValueError(f"{status!r} is an interim status: the application's answer is the final one")
    if _forbidden_in_value(reason):
        raise ValueError(f"forbidden character in status {status!r}")
    parsed = int(code), reason.strip()
    if len(_statuses) < _cache_entries:
        _statuses[status] = parsed
    return parsed


def _classify(name: str) -> int:
    if not isinstance(name, str):
        raise TypeError(f"header name must be a str, not {name!r}")
    if not _token(name):
        raise ValueError(f"header name {name!r} is not a token")
    lower = name.lower()
    kind = _LENGTH if lower == "content-length" else _DROP if lower in _not_the_applications else _KEEP
    if len(_kinds) < _cache_entries:
        _kinds[name] = kind
    return kind


def _parse_length(value: str, before: int | None) -> int:
    if not isinstance(value, str):
        raise TypeError(f"value of header Content-Length must be a str, not {value!r}")
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"Content-Length is {value!r}")
    if before is not None:
        raise ValueError("Content-Length given twice")
    return int(value)


def _explain(headers: list[tuple[str, str]]) -> None:
    """Finds out which value is bad, after a check of all together has said that one is."""
    for name, value in headers:
        if not isinstance(value, str):
            raise TypeError(f"value of header {name} must be a str, not {value!r}")
        if _forbidden_in_value(value):
            raise ValueError(f"forbidden character in the value of header {name}: {value!r}")
    raise ValueError("forbidden character in the response's head")
