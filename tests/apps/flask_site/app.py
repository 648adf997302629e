"""A small Flask project: pages, a session, uploads, streams, files with ranges, errors."""

import hashlib
import io
import os
import sys

import flask

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from strict import strict

app = flask.Flask(__name__)
app.config.update(SECRET_KEY="for tests", MAX_CONTENT_LENGTH=64 << 20)
app.json.sort_keys = True


@app.get("/")
def index():
    return flask.render_template("index.html", user=flask.session.get("user"))


@app.get("/hello/<name>")
def hello(name):
    return flask.render_template("hello.html", name=name, greeting=flask.request.args.get("greeting", "Hello"))


@app.route("/api/echo", methods=["POST", "PUT"])
def echo():
    data = flask.request.get_json()
    return {"method": flask.request.method, "data": data, "query": flask.request.args.to_dict(flat=False)}


@app.post("/login")
def login():
    flask.session["user"] = flask.request.form["user"]
    flask.flash(f"Welcome, {flask.session['user']}")
    response = flask.redirect(flask.url_for("index"))
    response.set_cookie("seen", "yes; really", httponly=True, samesite="Lax")
    return response


@app.post("/logout")
def logout():
    flask.session.clear()
    return flask.redirect("/", 303)


@app.post("/upload")
def upload():
    found = {}
    for name, file in flask.request.files.items():
        digest = hashlib.sha256()
        size = 0
        for block in iter(lambda file=file: file.read(65536), b""):
            digest.update(block)
            size += len(block)
        found[name] = {"filename": file.filename, "size": size, "sha256": digest.hexdigest()}
    return {"files": found, "form": flask.request.form.to_dict()}


@app.get("/stream")
def stream():
    @flask.stream_with_context
    def rows():
        yield f"start for {flask.request.args['who']}\n"
        with open(flask.request.args["gate"], "rb", 0) as gate:
            gate.read(1)
        yield "end\n"

    return flask.Response(rows(), mimetype="text/plain")


@app.get("/file")
def file():
    return flask.send_file(flask.request.args["path"], mimetype="application/octet-stream", conditional=True)


@app.get("/attachment")
def attachment():
    return flask.send_file(io.BytesIO(b"a,b\n1,2\n"), as_attachment=True, download_name="gr\u00f6\u00dfe \u2192.csv")


@app.get("/where")
def where():
    request = flask.request
    return {
        "url": request.url,
        "root": request.root_url,
        "remote": request.remote_addr,
        "secure": request.is_secure,
        "multiprocess": request.is_multiprocess,
        "language": request.accept_languages.best,
        "full_path": request.full_path,
    }


@app.get("/boom")
def boom():
    raise RuntimeError("confidential")


@app.get("/teapot")
def teapot():
    flask.abort(418, "short and stout")


@app.errorhandler(404)
def not_found(_):
    return flask.render_template("missing.html", path=flask.request.path), 404


@app.get("/log")
def log():
    app.logger.warning("a warning from Flask")
    print("printed to standard output", flush=True)
    return "logged"


checked = strict(app)
