"""A Django site in one file: one page made of a template and one SQLite query.

`python django_page.py` creates the database that $BENCH_DATABASE names; servers use `django_page:application`.
"""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings

ROWS = 500

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title></head>
<body><h1>{{ title }}</h1>
<table><tr><th>Name</th><th>Amount</th><th>Note</th></tr>
{% for order in orders %}<tr class="{% cycle 'odd' 'even' %}"><td>{{ order.name }}</td>
<td>{{ order.amount|floatformat:2 }}</td><td>{{ order.note|default:"-"|upper }}</td></tr>
{% empty %}<tr><td colspan="3">Nothing yet</td></tr>
{% endfor %}</table></body></html>
"""

settings.configure(
    DEBUG=False,
    SECRET_KEY="benchmark only",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
            "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"orders.html": PAGE})]},
        }
    ],
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - needs the settings above
from django.db import connection, models  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import path  # noqa: E402


class Order(models.Model):
    name = models.CharField(max_length=50)
    amount = models.DecimalField(max_digits=9, decimal_places=2, db_index=True)
    note = models.CharField(max_length=100, blank=True)

    class Meta:
        app_label = "bench"


def orders(request: HttpRequest) -> HttpResponse:
    """The 20 largest orders above 100, as a table."""
    found = Order.objects.filter(amount__gt=100).order_by("-amount")[:20]
    return render(request, "orders.html", {"title": "Orders", "orders": found})


urlpatterns = [path("", orders)]
application = get_wsgi_application()


def create_database() -> None:
    """Makes the table and fills it with the same rows each time."""
    with connection.schema_editor() as editor:
        editor.create_model(Order)
    Order.objects.bulk_create(
        Order(name=f"Order {number}", amount=number * 1.5, note="" if number % 3 else "express")
        for number in range(ROWS)
    )


if __name__ == "__main__":
    create_database()
    sys.exit(0)
