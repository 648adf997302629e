from django.urls import path

from . import views

urlpatterns = [
    path("", views.index, name="index"),
    path("notes/<int:key>/", views.note, name="note"),
    path("notes/<int:key>/attachment", views.attachment, name="attachment"),
    path("rows", views.rows, name="rows"),
    path("boom", views.boom, name="boom"),
]
