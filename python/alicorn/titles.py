"""What the list of processes shows."""

from __future__ import annotations

import ctypes

_PR_SET_NAME = 15


def set_title(title: str) -> None:
    """The whole command line where the module setproctitle is there, else the name, of which Linux shows 15 bytes."""
    try:
        from setproctitle import setproctitle
    except ImportError:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_NAME, title.encode()[:15], 0, 0, 0)
        except (OSError, AttributeError):
            pass
    else:
        setproctitle(title)
