from _alicorn.request_face import ResponseFace as Response
from _alicorn.wsgi import FileWrapper

__all__ = ["FileWrapper", "Response"]
