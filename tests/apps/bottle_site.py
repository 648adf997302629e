"""A Bottle application: pages, cookies, JSON, uploads, files, errors."""

import hashlib
import os

import bottle
from strict import strict

app = bottle.Bottle()
SECRET = "for tests"

page = bottle.SimpleTemplate("<h1>Hello {{name}}!</h1>\n% for n in range(count):\n<p>{{n}}</p>\n% end\n")


@app.get("/hello/<name>")
def hello(name):
    return page.render(name=name, count=int(bottle.request.query.count or 0))


@app.route("/echo", method=["POST", "PUT"])
def echo():
    return {"method": bottle.request.method, "data": bottle.request.json, "q": bottle.request.query.getunicode("q")}


@app.post("/login")
def login():
    bottle.response.set_cookie("user", bottle.request.forms.getunicode("user"), secret=SECRET, path="/")
    bottle.redirect("/me")


@app.get("/me")
def me():
    return f"You are {bottle.request.get_cookie('user', secret=SECRET) or 'nobody'}"


@app.post("/upload")
def upload():
    found = bottle.request.files.get("file")
    digest, size = hashlib.sha256(), 0
    for block in iter(lambda: found.file.read(65536), b""):
        digest.update(block)
        size += len(block)
    return {"filename": found.raw_filename, "size": size, "sha256": digest.hexdigest()}


@app.get("/file/<path:path>")
def file(path):
    return bottle.static_file(path, root="/")


@app.get("/rows")
def rows():
    bottle.response.content_type = "text/plain; charset=utf-8"
    yield "start \u2192\n"
    with open(bottle.request.query.gate, "rb", 0) as gate:
        gate.read(1)
    yield "end\n"


@app.get("/nothing")
def nothing():
    return None


@app.get("/teapot")
def teapot():
    bottle.abort(418, "short and stout")


@app.get("/boom")
def boom():
    raise RuntimeError("confidential")


@app.error(404)
def missing(error):
    return f"nothing at {bottle.request.path} for process {os.getpid()}"


checked = strict(app)
