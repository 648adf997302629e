"""Programs that start the server themselves."""


class BaseApplication:
    """Serving from inside of a Python program is not possible here: the server is a program of its own."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise RuntimeError(
            "gunicorn.app.base: alicorn cannot be started from inside a Python program; "
            "run `alicorn gunicorn MODULE:VARIABLE` instead"
        )


Application = BaseApplication
