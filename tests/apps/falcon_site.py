"""A Falcon API: JSON, uploads, streams, errors, middleware."""

import hashlib
import io

import falcon
from strict import strict


class Tag:
    """Middleware: every answer carries the method, errors too."""

    def process_response(self, req, resp, resource, succeeded):
        resp.set_header("X-Seen", f"{req.method} {req.path} {succeeded}")


class Things:
    def __init__(self):
        self.things = {"1": {"id": "1", "name": "première"}}

    def on_get(self, req, resp):
        resp.media = list(self.things.values())[: req.get_param_as_int("limit") or None]

    def on_post(self, req, resp):
        thing = req.get_media()
        if "name" not in thing:
            raise falcon.HTTPUnprocessableEntity(title="No name", description="a thing has one")
        thing["id"] = str(len(self.things) + 1)
        self.things[thing["id"]] = thing
        resp.media = thing
        resp.status = falcon.HTTP_CREATED
        resp.location = f"/things/{thing['id']}"


class Thing:
    def __init__(self, things):
        self.things = things

    def on_get(self, req, resp, key):
        if key not in self.things:
            raise falcon.HTTPNotFound(title=f"No thing {key}")
        resp.media = self.things[key]
        resp.etag = f"thing-{key}"

    def on_delete(self, req, resp, key):
        del self.things[key]
        resp.status = falcon.HTTP_204


class Upload:
    def on_put(self, req, resp):
        """A raw body, read as a stream."""
        digest, size = hashlib.sha256(), 0
        while True:
            block = req.bounded_stream.read(65536)
            if not block:
                break
            digest.update(block)
            size += len(block)
        resp.media = {"size": size, "length": req.content_length, "sha256": digest.hexdigest()}

    def on_post(self, req, resp):
        """A form."""
        found = {}
        for part in req.get_media():
            data = part.stream.read()
            found[part.name] = {
                "filename": part.filename,
                "size": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        resp.media = found


class Stream:
    def on_get(self, req, resp):
        """A file-like stream, for which Falcon uses wsgi.file_wrapper; or, with ?gate, a generator."""
        resp.content_type = "text/plain"
        gate = req.get_param("gate")
        if gate is None:
            resp.stream = io.BytesIO(b"line\n" * 50_000)
            return

        def rows():
            yield b"start\n"
            with open(gate, "rb", 0) as waiting:
                waiting.read(1)
            yield b"end\n"

        resp.stream = rows()


class File:
    def on_get(self, req, resp):
        resp.content_type = "application/octet-stream"
        resp.stream = open(req.get_param("path", required=True), "rb")


class Boom:
    def on_get(self, req, resp):
        raise RuntimeError("confidential")


things = Things()
app = falcon.App(middleware=[Tag()])
app.add_route("/things", things)
app.add_route("/things/{key}", Thing(things.things))
app.add_route("/upload", Upload())
app.add_route("/stream", Stream())
app.add_route("/file", File())
app.add_route("/boom", Boom())
checked = strict(app)
