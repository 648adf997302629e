"""What `import gunicorn` finds in a configuration or an application: the names that they use, made for this server.

Loaded under the name `gunicorn` (worker_types.py). It has what configuration files, loggers and worker classes refer
to, and not Gunicorn's inner parts.
"""

from _alicorn.config import VERSION

version_info = tuple(int(part) for part in VERSION.split("."))
__version__ = VERSION
SERVER = "gunicorn"
SERVER_SOFTWARE = f"{SERVER}/{__version__}"
