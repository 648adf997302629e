from django.shortcuts import redirect, render

from .models import Task


def todo(request):
    """What is to be done; a POST adds a task, or says that one is done."""
    if request.method != "POST":
        return render(request, "todo.html", {"tasks": Task.objects.filter(done=False)})
    if "done" in request.POST:
        Task.objects.filter(pk=request.POST["done"]).update(done=True)
    else:
        Task.objects.create(title=request.POST["title"][:200])
    return redirect("/")
