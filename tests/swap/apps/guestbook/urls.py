"""Where everything is."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.book, name="book"),
    path("about/", views.about),
    path("photo/", views.photo),
    path("rows/", views.rows),
    path("home/", views.home),
    path("seen/", views.seen),
    path("boom/", views.boom),
]
