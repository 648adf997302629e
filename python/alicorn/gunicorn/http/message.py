from _alicorn.request_face import RequestFace as Request

__all__ = ["Request"]
