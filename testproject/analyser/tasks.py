"""What the worker runs for this site."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.utils import timezone

from django_tasks_q import Context, task

from .metrics import measure
from .models import SourceFile
from .packages import read_source

__all__ = ["analyse_file", "read_greeting", "say"]


@task(queue_name="analysis", takes_context=True, timeout=60)
def analyse_file(context: Context, package: str, path: str) -> dict[str, Any]:
    """Measure one file and write the result into its row of the report. It may run twice and do no harm."""
    started = time.perf_counter()
    metrics = asdict(measure(read_source(package, path)))
    stored = {name: value[:500] if isinstance(value, str) else value for name, value in metrics.items()}
    seconds = time.perf_counter() - started
    SourceFile.objects.filter(pk=context.id).update(**stored, seconds=seconds, finished_at=timezone.now())
    return metrics


@task(max_attempts=2, backoff=1, retry_on=OSError)
def read_greeting(path: str) -> str:
    """Read a file that does not exist until someone writes it: a failure that can be fixed, and then retried."""
    return Path(path).read_text(encoding="utf-8")


@task(takes_context=True)
def say(context: Context, text: str) -> dict[str, Any]:
    """Return the text, and by how many milliseconds the job started late."""
    due = context.task_result.task.run_after
    late = (timezone.now() - due).total_seconds() * 1_000 if due else 0
    return {"text": text, "late_ms": round(late)}
