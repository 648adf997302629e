"""Starts the arbiter: `python /…/python/alicorn`, run by the master (see arbiter.py for what it expects).

The application must not meet our modules by accident (`log`, `worker` and `wsgi` are likely names in an
application too), so neither this folder nor its parent stays on sys.path, and the package is loaded under the
private name `_alicorn`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys


def _load_package() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    init = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location("_alicorn", init, submodule_search_locations=[folder])
    package = importlib.util.module_from_spec(spec)
    sys.modules["_alicorn"] = package
    spec.loader.exec_module(package)


def main() -> int:
    del sys.path[0]  # Python put our own folder there; the arbiter puts the application's in its place
    _load_package()
    return importlib.import_module("_alicorn.start").main()


# Guarded, because `multiprocessing` in the application imports the main module again in its children.
if __name__ == "__main__":
    sys.exit(main())
