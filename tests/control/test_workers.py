import pytest

from django_tasks_q.control.workers import drain, stop
from django_tasks_q.exceptions import WorkerNotFound
from django_tasks_q.models import Worker

from .. import scenes

pytestmark = pytest.mark.django_db


def test_a_worker_is_asked_once_and_to_stop_is_more_than_to_drain() -> None:
    worker = scenes.add_worker()
    asked = [drain(worker.pk), drain(worker.pk), stop(worker.pk), stop(worker.pk), drain(worker.pk)]
    assert asked == [True, False, True, False, False]
    assert Worker.objects.get().request == "STOP"


@pytest.mark.django_db(databases=["default", "queue"])
def test_only_a_worker_that_runs_can_be_asked() -> None:
    gone = scenes.add_worker(status="OFFLINE")
    for name in (gone.pk, "nobody", ""):
        with pytest.raises(WorkerNotFound):
            drain(name)
        with pytest.raises(WorkerNotFound):
            stop(name)
    with pytest.raises(WorkerNotFound):
        drain(scenes.add_worker().pk, backend="elsewhere")
    assert not Worker.objects.exclude(request=None).exists()


def test_who_gives_the_name_of_a_worker_learns_its_id() -> None:
    worker = scenes.add_worker()
    with pytest.raises(WorkerNotFound, match=rf'with the id "web" .* Those that run: {worker.pk}\.'):
        drain("web")
    worker.delete()
    with pytest.raises(WorkerNotFound, match="Those that run: none"):
        stop("web")
