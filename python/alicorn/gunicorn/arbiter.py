"""The `server` of hooks, as annotations refer to it."""

from _alicorn.hooks import Server as Arbiter

__all__ = ["Arbiter"]
