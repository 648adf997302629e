"""Exceptions by the names that code catches."""


class HaltServer(BaseException):
    def __init__(self, reason: str, exit_status: int = 1) -> None:
        self.reason = reason
        self.exit_status = exit_status

    def __str__(self) -> str:
        return f"<HaltServer {self.reason!r} {self.exit_status}>"


class ConfigError(Exception):
    pass


class AppImportError(Exception):
    pass
