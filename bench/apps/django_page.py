"""A Django site in one file: one page made of a template and one SQLite query, the "fortunes" of TechEmpower's benchmarks.

`python django_page.py` creates the database that $BENCH_DATABASE names; servers use `django_page:application`.
"""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings

FORTUNES = [
    "fortune: No such file or directory",
    "A computer scientist is someone who fixes things that aren't broken.",
    "After enough decimal places, nobody gives a damn.",
    "A bad random number generator: 1, 1, 1, 1, 1, 4.33e+67, 1, 1, 1",
    "A computer program does what you tell it to do, not what you want it to do.",
    "Emacs is a nice operating system, but I prefer UNIX.",
    "Any program that runs right is obsolete.",
    "A list is only as strong as its weakest link.",
    "Feature: A bug with seniority.",
    "Computers make very fast, very accurate mistakes.",
    '<script>alert("This should not be displayed in a browser alert box.");</script>',
    "フレームワークのベンチマーク",
]

PAGE = """<!DOCTYPE html>
<html>
<head><title>Fortunes</title></head>
<body><table>
<tr><th>id</th><th>message</th></tr>
{% for fortune in fortunes %}<tr><td>{{ fortune.id }}</td><td>{{ fortune.message }}</td></tr>
{% endfor %}</table></body>
</html>
"""

settings.configure(
    DEBUG=False,
    SECRET_KEY="benchmark only",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["BENCH_DATABASE"],
            "CONN_MAX_AGE": None,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"fortunes.html": PAGE})]},
        }
    ],
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - needs the settings above
from django.db import connection, models  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import path  # noqa: E402


class Fortune(models.Model):
    message = models.CharField(max_length=200)

    class Meta:
        app_label = "bench"


def fortunes(request: HttpRequest) -> HttpResponse:
    """All fortunes and one more, sorted, as a table."""
    found = [*Fortune.objects.all(), Fortune(id=0, message="Additional fortune added at request time.")]
    found.sort(key=lambda fortune: fortune.message)
    return render(request, "fortunes.html", {"fortunes": found})


urlpatterns = [path("", fortunes)]
application = get_wsgi_application()


def create_database() -> None:
    """Makes the table and fills it with the same rows each time."""
    with connection.schema_editor() as editor:
        editor.create_model(Fortune)
    Fortune.objects.bulk_create(Fortune(message=message) for message in FORTUNES)


if __name__ == "__main__":
    create_database()
    sys.exit(0)
