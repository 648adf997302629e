"""From `module:variable` or `module:factory(arguments)` to the application, or to a message that helps."""

from __future__ import annotations

import ast
import difflib
import importlib
import os
import sys
from typing import Any, Callable, NamedTuple

from .log import short_traceback

# Exit codes, Gunicorn's: the application's import failed; it has been imported, but there is no application in it.
IMPORT_FAILED = 3
NO_APPLICATION = 4

# Looked for, in this order, in a module that is given without a variable: Gunicorn's name, and most people's habit.
default_names = ("application", "app")


class LoadError(Exception):
    """Says in its message what to do; `files` are those whose change may cure it."""

    def __init__(self, code: int, message: str, files: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.files = files


class _Target(NamedTuple):
    module: str
    name: str | None
    call: tuple[list[Any], dict[str, Any]] | None


def load(uri: str) -> Callable[..., Any]:
    """The application. Raises LoadError and nothing else."""
    target = _parse(uri)
    module = _import(target.module)
    name = target.name or next((name for name in default_names if hasattr(module, name)), None)
    if name is None:
        raise LoadError(NO_APPLICATION, f"module {target.module} has no `application` and no `app`{_callables(module)}")
    try:
        found = module
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise LoadError(NO_APPLICATION, f"module {target.module} has no `{name}`{_callables(module)}") from None
    if target.call is not None:
        found = _call(found, target, name)
    if not callable(found):
        message = (
            f"{target.module}:{name} is {_article(found)}, which cannot be called: a WSGI application is a callable"
        )
        raise LoadError(NO_APPLICATION, message)
    return found


def _parse(uri: str) -> _Target:
    module, colon, expression = uri.partition(":")
    if module.endswith(".py") and os.path.exists(module):
        cure = f"{module[:-3].replace(os.sep, '.')}:{expression or 'app'}"
        raise LoadError(IMPORT_FAILED, f"{module} is a file, and a module is wanted: did you mean `{cure}`?")
    if not module or (colon and not expression):
        raise LoadError(NO_APPLICATION, f"`{uri}` is not of the form MODULE:VARIABLE")
    if not colon:
        return _Target(module, None, None)
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise LoadError(NO_APPLICATION, f"`{expression}` is neither a name nor a call like `create_app()`") from None
    if not isinstance(tree, ast.Call):
        return _Target(module, _dotted(tree, expression), None)
    try:
        arguments = [ast.literal_eval(node) for node in tree.args]
        named = {node.arg: ast.literal_eval(node.value) for node in tree.keywords if node.arg}
    except ValueError:
        raise LoadError(NO_APPLICATION, f"the arguments in `{expression}` must be literals") from None
    return _Target(module, _dotted(tree.func, expression), (arguments, named))


def _dotted(tree: ast.expr, expression: str) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{_dotted(tree.value, expression)}.{tree.attr}"
    raise LoadError(NO_APPLICATION, f"`{expression}` is neither a name nor a call like `create_app()`")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError(IMPORT_FAILED, _no_such_module(name, error.name)) from None
        hint = f"\nIs it installed for this Python? ({sys.executable})"
        raise LoadError(IMPORT_FAILED, short_traceback(error) + hint, files_of(error)) from None
    except SystemExit as error:
        message = f"{short_traceback(error)}\n{name} ended the program while it was being imported"
        raise LoadError(IMPORT_FAILED, message, files_of(error)) from None
    except BaseException as error:
        raise LoadError(IMPORT_FAILED, short_traceback(error), files_of(error)) from None


def _call(factory: Any, target: _Target, name: str) -> Any:
    arguments, named = target.call or ([], {})
    if not callable(factory):
        raise LoadError(NO_APPLICATION, f"{target.module}:{name} is {_article(factory)}, which cannot be called")
    try:
        app = factory(*arguments, **named)
    except BaseException as error:
        raise LoadError(IMPORT_FAILED, short_traceback(error), files_of(error)) from None
    if app is None:
        raise LoadError(NO_APPLICATION, f"{target.module}:{name}() returned None instead of an application")
    return app


def _no_such_module(name: str, missing: str) -> str:
    folder = os.getcwd()
    try:
        entries = os.listdir(folder)
    except OSError:
        entries = []
    modules = [entry[:-3] for entry in entries if entry.endswith(".py")]
    modules += [entry for entry in entries if os.path.isfile(os.path.join(entry, "__init__.py"))]
    close = difflib.get_close_matches(missing, modules, n=1)
    if missing != name:
        hint = f" (it is needed for {name})"
    elif close:
        hint = f": did you mean `{close[0]}`?"
    else:
        hint = ": start in the application's folder, or name it with --chdir"
    return f"there is no module `{missing}` in {folder} or on Python's path{hint}"


def _callables(module: Any) -> str:
    """What the user may have meant."""
    likely = [name for name in vars(module) if "app" in name.lower() and callable(getattr(module, name))]
    return f": did you mean `{module.__name__}:{likely[0]}`?" if likely else ""


def _article(value: Any) -> str:
    return f"of type {type(value).__name__}"


def files_of(error: BaseException) -> tuple[str, ...]:
    """The files that take part in a failure, those of its causes included."""
    files: list[str] = []
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if isinstance(at, SyntaxError) and at.filename:
            files.append(at.filename)
        trace = at.__traceback__
        while trace is not None:
            files.append(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        at = at.__cause__ or at.__context__
    return tuple(files)
