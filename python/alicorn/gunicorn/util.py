"""The few helpers that configurations use."""

from _alicorn.config import parse_address
from _alicorn.loader import load as import_app
from _alicorn.validators import working_directory as getcwd

__all__ = ["getcwd", "import_app", "parse_address"]
