"""From what a command line or a configuration file says to a setting's value. Each raises ValueError or TypeError with
Gunicorn's words: people search for them."""

from __future__ import annotations

import grp
import inspect
import ipaddress
import os
import pwd
from typing import Any, Callable

# The most that a limit may be: lines and counts above are cut to it (Gunicorn's own ceilings).
MAX_LINE, MAX_FIELDS, DEFAULT_FIELD_SIZE = 8190, 32768, 8190


def string(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"Not a string: {value}")
    return value.strip()


def anything(value: Any) -> Any:
    return value


def boolean(value: Any) -> bool | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise TypeError(f"Invalid type for casting: {value}")
    word = value.lower().strip()
    if word not in ("true", "false"):
        raise ValueError(f"Invalid boolean: {value}")
    return word == "true"


def positive(value: Any) -> int:
    """A whole number from 0 on; as text also 0x10 or 0o17."""
    number = int(value) if not isinstance(value, str) else int(value, 0)
    if number < 0:
        raise ValueError(f"Value must be positive: {value}")
    return number


def memory(value: Any) -> int:
    """Bytes; as text also with k, m or g behind the number."""
    if isinstance(value, str):
        number, unit = (value[:-1], value[-1].lower()) if value[-1:].isalpha() else (value, "")
        if not number.strip().isdigit() or unit not in _units:
            raise ValueError(f"Invalid size: {value} (write it as 300m, for example)")
        return int(number) * _units[unit]
    return positive(value)


_units = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def any_number(text: str) -> int:
    """Of a command line: decimal, or with a prefix (0o22, 0x12); with a leading zero octal, as in a shell."""
    if text.startswith("0") and text[1:2] not in ("", "x", "X", "o", "O", "b", "B"):
        return int(text, 8)
    return int(text, 0)


def strings(value: Any) -> list[str]:
    if not value:
        return []
    return [string(each) for each in ([value] if isinstance(value, str) else value)]


def file_names(value: Any) -> list[str]:
    return strings(value)


def networks(value: Any) -> list[str]:
    """Addresses and networks, comma-separated or as a list; "*": everybody."""
    for each in (names := separated(value)):
        if each != "*":
            ipaddress.ip_network(each)  # raises ValueError
    return names


def addresses(value: Any) -> list[str]:
    return networks(value)


def separated(value: Any) -> list[str]:
    text = string(value) if isinstance(value, str) or value is None else None
    if text is not None:
        return [part.strip() for part in text.split(",") if part.strip()]
    return [str(part).strip() for part in value or []]


def upper_separated(value: Any) -> list[str]:
    return [part.upper() for part in separated(value)]


def dictionary(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"Value is not a dictionary: {value} ")
    return value


def one_of(what: str, *words: str) -> Callable[[Any], str | None]:
    def validate(value: Any) -> str | None:
        word = string(value)
        if word is None:
            return None
        if word.lower().strip() not in words:
            raise ValueError(f"Invalid {what}: {value}")
        return word.lower().strip()

    return validate


def proxy_mode(value: Any) -> str:
    """True and the bare flag mean auto, None and False mean off."""
    if value is None or value is False:
        return "off"
    if value is True:
        return "auto"
    word = str(value).lower().strip()
    if word in ("true", "false"):
        return "auto" if word == "true" else "off"
    if word not in ("off", "v1", "v2", "auto"):
        raise ValueError(f"Invalid proxy_protocol mode: {value}")
    return word


def protocols(value: Any) -> list[str]:
    if value is None:
        return ["h1"]
    if not isinstance(value, str):
        raise TypeError(f"Not a string: {value}")
    found = [part.strip().lower() for part in value.split(",") if part.strip()]
    for each in found:
        if each not in ("h1", "h2", "h3"):
            raise ValueError(f"Invalid protocol: {each}")
    return found or ["h1"]


def between(least: int, most: int, what: str) -> Callable[[Any], int]:
    def validate(value: Any) -> int:
        number = positive(value)
        if not least <= number <= most:
            raise ValueError(f"{what} must be between {least} and {most}: {value}")
        return number

    return validate


def user(value: Any) -> int:
    """A number, or a name that is looked up. As a number it need not exist."""
    if value is None:
        return os.geteuid()
    if isinstance(value, int):
        return value
    if value.isdigit():
        return int(value)
    try:
        return pwd.getpwnam(value).pw_uid
    except KeyError:
        raise ValueError(f"No such user: '{value}'") from None


def group(value: Any) -> int:
    if value is None:
        return os.getegid()
    if isinstance(value, int):
        return value
    if value.isdigit():
        return int(value)
    try:
        return grp.getgrnam(value).gr_gid
    except KeyError:
        raise ValueError(f"No such group: '{value}'") from None


def directory(value: Any) -> str:
    path = os.path.abspath(os.path.normpath(os.path.join(working_directory(), string(value) or "")))
    if not os.path.exists(path):
        raise ValueError(f"can't chdir to {path!r}")
    return path


def working_directory() -> str:
    """Where we are, by the name that the shell knows it by: a deployment's symbolic link stays one."""
    here = os.getcwd()
    named = os.environ.get("PWD", here)
    try:
        a, b = os.stat(named), os.stat(here)
    except OSError:
        return here
    return named if (a.st_ino, a.st_dev) == (b.st_ino, b.st_dev) else here


def existing_file(value: Any) -> str | None:
    if value is None:
        return None
    path = string(value)
    if not os.path.exists(path):
        raise ValueError(f"File not found: {path}")
    return path


def statsd_address(value: Any) -> tuple[str, int] | str | None:
    text = string(value) if not isinstance(value, tuple) else value
    if text is None or isinstance(text, tuple):
        return text
    for prefix in ("unix://", "unix:"):
        if text.startswith(prefix):
            return text[len(prefix) :]
    host, colon, port = text.rpartition(":")
    if not colon:
        raise TypeError("Value must be one of ('host:port', 'unix://PATH')")
    return host.strip("[]").lower(), int(port)


def reload_engine(value: Any) -> str:
    word = string(value)
    if word not in ("auto", "poll", "inotify"):
        raise ValueError(f"Invalid reload_engine: {value!r}")
    return word


def worker_class(value: Any) -> Any:
    """A word or a class. Which classes there are is known where workers are made."""
    return value if inspect.isclass(value) else string(value)


def class_or_name(value: Any) -> Any:
    return value if inspect.isclass(value) else string(value)


def hook(*arities: int) -> Callable[[Any], Callable[..., Any]]:
    """A callable, or the dotted name of one, that takes one of these numbers of arguments."""

    def validate(value: Any) -> Callable[..., Any]:
        function = value
        if isinstance(value, str):
            module, _, name = value.replace(":", ".").rpartition(".")
            try:
                function = getattr(__import__(module, fromlist=[name]), name)
            except (ImportError, AttributeError, ValueError):
                raise TypeError(f"Can not load '{value}'") from None
        if not callable(function):
            raise TypeError(f"Value is not callable: {value}")
        if arity(function) not in (*arities, -1):
            wanted = " or ".join(map(str, arities))
            raise TypeError(f"Value must have an arity of: {wanted}")
        return function

    return validate


def arity(function: Callable[..., Any]) -> int:
    """How many positional arguments it takes; a method's own object does not count."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return -1
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return -1
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)
