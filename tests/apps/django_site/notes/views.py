import hashlib

from django import forms
from django.db import transaction
from django.http import FileResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from .models import Note


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = ("title", "text", "attachment")


def index(request):
    """All notes, and a form for another one."""
    form = NoteForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        return redirect("note", key=form.save().pk)
    return render(request, "notes/index.html", {"notes": Note.objects.all(), "form": form})


def note(request, key):
    found = get_object_or_404(Note, pk=key)
    digest = hashlib.sha256()
    if found.attachment:
        for chunk in found.attachment.chunks():
            digest.update(chunk)
    return render(request, "notes/note.html", {"note": found, "sha256": digest.hexdigest()})


def attachment(request, key):
    found = get_object_or_404(Note, pk=key)
    return FileResponse(found.attachment.open("rb"), as_attachment=True, filename="attached.bin")


def rows(request):
    """A table as CSV, row by row from the database; the first ones while the test holds the gate."""

    def lines():
        yield "id,title\r\n"
        with open(request.GET["gate"], "rb", 0) as gate:
            gate.read(1)
        for found in Note.objects.iterator():
            yield f"{found.pk},{found.title}\r\n"

    return StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")


@transaction.atomic
def boom(request):
    Note.objects.create(title="rolled back")
    raise RuntimeError("confidential")
