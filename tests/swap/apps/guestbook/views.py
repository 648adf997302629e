"""The pages."""

import hashlib

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render


def book(request):
    entries = request.session.get("entries", [])
    if request.method == "POST":
        request.session["entries"] = [*entries, request.POST["text"]]
        messages.success(request, "Thank you")
        return redirect("book")
    return render(request, "book.html", {"entries": entries, "token": get_token(request)})


def about(request):
    return HttpResponse("<h1>About this book</h1>\n")


def photo(request):
    digest = hashlib.sha256()
    file = request.FILES["photo"]
    for block in file.chunks():
        digest.update(block)
    return JsonResponse({"name": file.name, "size": file.size, "sha256": digest.hexdigest()})


def rows(request):
    return StreamingHttpResponse((f"{i},{i * i}\r\n" for i in range(1000)), content_type="text/csv")


def home(request):
    return HttpResponseRedirect(request.build_absolute_uri("/about/"))


def seen(request):
    return JsonResponse(
        {"url": request.build_absolute_uri(), "secure": request.is_secure(), "host": request.get_host()}
    )


def boom(request):
    raise RuntimeError("confidential")
