"""A small Flask project: answers of every kind, and what it sees of a request."""

import datetime
import hashlib
import os

import flask

app = flask.Flask(__name__)
app.config.update(SECRET_KEY="for tests", MAX_CONTENT_LENGTH=64 << 20)
app.json.sort_keys = True

CHANGED = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)


@app.get("/")
def index():
    return "<h1>Pieces</h1>\n"


@app.get("/count")
def count():
    """How often this browser has been here: a session in a signed cookie."""
    flask.session["count"] = flask.session.get("count", 0) + 1
    response = flask.make_response(f"visit {flask.session['count']}\n")
    response.set_cookie("second", "a b; c", httponly=True, samesite="Lax")
    return response


@app.get("/seen")
def seen():
    request = flask.request
    return {
        "url": request.url,
        "scheme": request.scheme,
        "host": request.host,
        "address": request.environ.get("REMOTE_ADDR"),
        "forwarded_for": request.headers.get("X-Forwarded-For"),
        "forwarded_proto": request.headers.get("X-Forwarded-Proto"),
        "path": request.path,
        "long_field": len(request.headers.get("X-Long", "")),
        "script_name": request.environ.get("SCRIPT_NAME"),
    }


@app.post("/upload")
def upload():
    digest = hashlib.sha256()
    size = 0
    while block := flask.request.stream.read(65536):
        digest.update(block)
        size += len(block)
    return {"sha256": digest.hexdigest(), "size": size, "announced": flask.request.content_length}


@app.get("/lines/<int:count>")
def lines(count):
    return flask.Response((f"line {i}\n" for i in range(count)), mimetype="text/plain")


@app.get("/events")
def events():
    """Two events; the second one when the test lets it go."""

    def both(gate_path):
        yield "data: first\n\n"
        with open(gate_path, "rb", 0) as gate:
            gate.read(1)
        yield "data: last\n\n"

    response = flask.Response(both(flask.request.args["gate"]), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "no-store"
    return response


@app.get("/large/<int:size>")
def large(size):
    block = bytes(range(256)) * 256

    def blocks():
        for at in range(0, size, len(block)):
            yield block[: size - at]

    return flask.Response(blocks(), mimetype="application/octet-stream", headers={"Content-Length": str(size)})


@app.get("/long-field/<int:size>")
def long_field(size):
    return "ok\n", 200, {"X-Long": "y" * size}


@app.get("/digits")
def digits():
    """Made here, and yet with validators and ranges."""
    response = flask.make_response("0123456789")
    response.mimetype = "text/plain"
    response.last_modified = CHANGED
    response.set_etag("ten")
    return response.make_conditional(flask.request, accept_ranges=True, complete_length=10)


@app.get("/relative")
def relative():
    return flask.redirect(flask.url_for("seen", a="b c"))


@app.get("/absolute")
def absolute():
    return flask.redirect(flask.url_for("seen", _external=True), 303)


@app.get("/guarded/<name>")
def guarded(name):
    """Who may have a file is decided here; the web server sends it."""
    response = flask.Response("the application's own body", mimetype="text/plain")
    response.headers["X-Accel-Redirect"] = f"/guarded-files/{name}"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return response


@app.get("/boom")
def boom():
    raise RuntimeError("confidential")


@app.post("/once/<name>")
def once(name):
    with open(os.environ["ONCE"], "a") as file:
        file.write(f"{name}\n")
    return "done\n"
