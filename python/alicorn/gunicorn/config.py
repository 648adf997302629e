"""The settings, as annotations and loggers refer to them."""

from _alicorn.config import Config

__all__ = ["Config"]
