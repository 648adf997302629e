"""A guest book in Flask: a form, a session, a streamed clock."""

import time

from flask import Flask, Response, flash, redirect, render_template_string, request, session

app = Flask(__name__)
app.secret_key = "change me"  # signs the session's cookie

PAGE = """<!doctype html>
<title>Guest book</title>
{% for message in get_flashed_messages() %}<p><em>{{ message }}</em></p>{% endfor %}
<h1>Guest book</h1>
<form method="post"><input name="name" value="{{ session.name or '' }}" placeholder="Your name" required>
<button>Sign</button></form>
<p>You have signed {{ session.times or 0 }} times. <a href="/clock">A clock</a></p>
"""


@app.get("/")
def book():
    return render_template_string(PAGE)


@app.post("/")
def sign():
    session["name"] = request.form["name"]
    session["times"] = session.get("times", 0) + 1
    flash(f"Thank you, {session['name']}!")
    return redirect("/")


@app.get("/clock")
def clock():
    """Each line leaves as soon as it is yielded."""

    every = float(request.args.get("every", 1))

    def ticks():
        for _ in range(3):
            yield time.strftime("%H:%M:%S\n")
            time.sleep(every)

    return Response(ticks(), mimetype="text/plain")
