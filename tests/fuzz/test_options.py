"""Any OPTIONS: what is wrong is named by a system check, and what is not works."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from django_tasks_q.backend import TasksQBackend
from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import Outcome
from django_tasks_q.checks import check_backend
from django_tasks_q.conf import NAMES, NOTIFIERS, read_options
from django_tasks_q.lifecycle import Ending, JobStatus, ResultStatus
from django_tasks_q.models import Job
from django_tasks_q.retries import Constant, Exponential, Linear, decide
from tests import scenes
from tests.hypotheses import JSON, TEXT, examples

NUMBERS = st.integers() | st.floats() | st.integers(0, 100) | st.sampled_from([10**400, -(10**400), 2**31, 2**63])
SECONDS = NUMBERS | st.timedeltas() | st.none() | st.floats(0, 1e6)
BACKOFFS = (
    st.builds(Linear, NUMBERS, NUMBERS)
    | st.builds(Exponential, st.floats(0, 1e300), st.floats(1.001, 1e300), st.integers(0, 10**300))
    | st.builds(Constant, NUMBERS)
)
VALUES = SECONDS | BACKOFFS | JSON | TEXT | st.sampled_from([*NOTIFIERS, "default", timedelta.max, object, Linear])
KEYS = st.sampled_from(NAMES) | st.sampled_from([name.upper() for name in NAMES]) | TEXT | st.integers() | st.none()
OPTIONS = st.dictionaries(KEYS, VALUES, max_size=4) | st.dictionaries(st.sampled_from(NAMES), SECONDS, max_size=5)


@examples(150)
@given(given=OPTIONS | VALUES)
def test_wrong_options_are_found_by_a_check(given: Any) -> None:
    backend = TasksQBackend("default", {"OPTIONS": given})
    if found := [message for message in check_backend(backend) if message.id in {"tasksq.E001", "tasksq.E002"}]:
        assert all(isinstance(message, CheckMessage) and str(message) for message in found)
        with pytest.raises(ImproperlyConfigured):
            read_options("default", given)
    else:
        read_options("default", given)


@pytest.mark.django_db
@examples(40)
@given(given=st.dictionaries(st.sampled_from(NAMES), SECONDS | BACKOFFS | st.booleans(), max_size=6))
def test_options_that_are_let_through_work(given: dict[str, Any]) -> None:
    try:
        options = read_options("default", given)
    except ImproperlyConfigured:
        return
    usual = get_broker("default")
    broker = type(usual)("default", usual.using, options)
    broker.dialect.prepare_session()
    for status in ResultStatus:
        age = options.ttl(status)
        if age is not None:
            broker.prune([status], age)
    scenes.jobs()
    (job,) = broker.claim("w1", "default", 1)
    decision = decide(
        ValueError(),
        failures=job.failures + 1,
        max_attempts=options.max_attempts,
        backoff=options.backoff,
        retry_on=(Exception,),
    )
    now = broker.dialect.now()
    status = JobStatus.SCHEDULED if decision.retry else ResultStatus.FAILED
    outcome = Outcome(job.id, 1, Ending.ERROR, status, now, now, error=scenes.error(), retry_in=decision.delay)
    assert job.id in broker.finish("w1", [outcome])
    Job.objects.all().delete()
