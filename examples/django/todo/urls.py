from django.contrib import admin
from django.urls import path

from .views import todo

urlpatterns = [path("", todo), path("admin/", admin.site.urls)]
