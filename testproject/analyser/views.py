import json
import shlex
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from django_tasks_q import TasksQResult
from django_tasks_q.compat import TaskResultDoesNotExist
from django_tasks_q.models import Job, Result
from django_tasks_q.monitoring.health import workers
from django_tasks_q.monitoring.jobs import find, why

from . import reports
from .forms import DelayedForm, PackageForm
from .models import Report
from .tasks import analyse_file, read_greeting, say

__all__ = ["enqueue_delayed", "enqueue_failing", "home", "show_job", "show_report", "start"]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return _home(request, PackageForm(), DelayedForm())


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Enqueue one job for each file of a package."""
    form = PackageForm(request.POST)
    if not form.is_valid():
        return _home(request, form, DelayedForm(), status=400)
    return redirect("analyser:report", pk=reports.start_report(form.cleaned_data["package"]).pk)


@require_POST
def enqueue_failing(request: HttpRequest) -> HttpResponse:
    """Enqueue a task that fails until someone writes the file that it reads."""
    return redirect("analyser:job", job_id=read_greeting.enqueue(str(settings.DATA_DIR / "greeting.txt")).id)


@require_POST
def enqueue_delayed(request: HttpRequest) -> HttpResponse:
    """Enqueue a task for later."""
    form = DelayedForm(request.POST)
    if not form.is_valid():
        return _home(request, PackageForm(), form, status=400)
    task = say.using(run_after=timedelta(seconds=form.cleaned_data["seconds"]))
    return redirect("analyser:job", job_id=task.enqueue(form.cleaned_data["text"]).id)


@never_cache
@require_safe
def show_report(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a report as far as it is. The page asks for itself again until it is finished."""
    report = get_object_or_404(Report, pk=pk)
    progress = reports.progress(report)
    context = {
        "report": report,
        "progress": progress,
        "summary": reports.summary(report),
        "failures": reports.failures(report) if progress.failed else [],
        "is_live": not progress.is_finished,
        "lacks_worker": not progress.is_finished and not workers(alive=True),
    }
    return render(request, "analyser/report.html", context)


@never_cache
@require_safe
def show_job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show what the Tasks framework knows of one of this site's jobs, by its id alone."""
    try:
        result: TasksQResult[Any] = analyse_file.get_backend().get_result(str(job_id))
    except TaskResultDoesNotExist as error:
        raise Http404(str(error)) from error
    if result.task.module_path not in {task.module_path for task in (analyse_file, read_greeting, say)}:
        raise Http404("That job is not one of this site's.")
    return render(request, "analyser/job.html", _describe(result))


def _describe(result: TasksQResult[Any]) -> dict[str, Any]:
    row = find(result.id)
    if isinstance(row, Result):
        # It may have ended since the result was read.
        result.refresh()
    succeeded = result.status == "SUCCESSFUL"
    return {
        "result": result,
        "row": row,
        "why": why(row) if isinstance(row, Job) else row.reason,
        "returned": json.dumps(result.return_value, indent=2, ensure_ascii=False) if succeeded else None,
        "errors": [(error.exception_class_path, error.traceback.strip().splitlines()[-1]) for error in result.errors],
        "greeting": shlex.quote(result.args[0]) if result.task.module_path == read_greeting.module_path else None,
        "is_live": not result.is_finished,
    }


def _home(request: HttpRequest, package: PackageForm, delayed: DelayedForm, status: int = 200) -> HttpResponse:
    recent = Report.objects.annotate(total=Count("files")).order_by("-pk")[:8]
    context = {"package_form": package, "delayed_form": delayed, "recent": recent}
    return render(request, "analyser/home.html", context, status=status)
