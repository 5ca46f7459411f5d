"""Whatever a job enqueues knows which one it was, and what failed knows where."""

import uuid

import pytest

from django_tasks_q.models import Result
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.rows import row_of, wait_until_done

from . import tasks


@pytest.mark.django_db(transaction=True)
def test_a_job_that_a_job_enqueues_has_it_for_a_parent(start_worker: StartWorker) -> None:
    parent = tasks.enqueue_another.enqueue()
    failed = usual.boom.enqueue()
    killed = usual.overrun.using(max_attempts=1).enqueue(30)
    start_worker("--concurrency", "2")
    wait_until_done(4)
    parent.refresh()
    child = Result.objects.get(id=parent.return_value)
    assert child.parent_id == uuid.UUID(parent.id)
    assert row_of(parent).parent_id is None
    # Neither is what the same process enqueues, or runs, afterwards.
    assert Result.objects.exclude(parent_id=None).count() == 1
    assert row_of(failed).error_group.startswith("builtins.ValueError at tests/tasks.py:")
    assert row_of(failed).error_group.endswith(" in boom")
    assert row_of(killed).error_group == "django_tasks_q.exceptions.TaskTimeout in tests.tasks.overrun"
