"""Several backends: on the same tables, or with tables in another database."""

from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import path

from django_tasks_q.admin import ResultAdmin, register
from django_tasks_q.models import Job, Queue, Result, Worker

from .. import scenes
from .pages import address, after, confirm, post_action, rows, text

pytestmark = pytest.mark.django_db(databases=["default", "queue"])

BACKEND = "django_tasks_q.backend.TasksQBackend"


@pytest.fixture
def shared(settings: Any) -> None:
    """Two backends on the same tables."""
    settings.TASKS = {alias: {"BACKEND": BACKEND, "QUEUES": []} for alias in ("default", "other")}


@pytest.fixture
def separate(settings: Any) -> None:
    """One backend with tables of its own, elsewhere."""
    settings.TASKS = {
        "default": {"BACKEND": BACKEND, "QUEUES": []},
        "elsewhere": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": {"database": "queue"}},
    }


@pytest.fixture
def moved(settings: Any) -> None:
    """The only backend has its tables in another database."""
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": {"database": "queue"}}}


# on the same tables


def test_backends_on_the_same_tables_are_told_apart(shared: None, admin_client: Client) -> None:
    [here], [there] = scenes.results(), scenes.results(backend="other")
    [job], [other_job] = scenes.jobs(), scenes.jobs(backend="other")
    assert set(rows(admin_client.get(address("result")))) == {here, there}
    for model, mine, theirs in (("result", here, there), ("job", job, other_job)):
        assert rows(admin_client.get(address(model), {"backend": "default"})) == [mine]
        assert rows(admin_client.get(address(model), {"backend": "other"})) == [theirs]
        assert "By backend" in text(admin_client.get(address(model)))


def test_an_action_reaches_rows_of_both(shared: None, admin_client: Client) -> None:
    ids = [*scenes.results(), *scenes.results(backend="other")]
    assert after(post_action(admin_client, "result", "retry", ids)) == ["2 results were put back into their queues."]
    assert set(Job.objects.values_list("pk", "backend")) == {(ids[0], "default"), (ids[1], "other")}


def test_a_queue_of_each_is_paused_by_itself(shared: None, admin_client: Client) -> None:
    scenes.jobs(queue_name="mail")
    scenes.jobs(queue_name="mail", backend="other")
    admin_client.post(address("queue", "pause"), {"name": "mail", "backend": "other"})
    assert Queue.objects.get().backend == "other"
    assert "Backend other" in text(admin_client.get(address("queue")))


# in another database


def test_every_page_looks_into_the_other_database(moved: None, admin_client: Client) -> None:
    [key], [job] = scenes.results(status="FAILED"), scenes.jobs()
    worker = scenes.add_worker()
    assert not Result.objects.using("default").exists()
    assert rows(admin_client.get(address("result"))) == [key]
    assert rows(admin_client.get(address("job"))) == [job]
    assert rows(admin_client.get(address("worker"))) == [worker.pk]
    for url in (
        address("result", "change", key),
        address("job", "change", job),
        address("worker", "change", worker.pk),
        address("result", "history", key),
        address("result") + "?q=noop&status=FAILED&queue=default",
        address("queue"),
    ):
        assert admin_client.get(url).status_code == 200, url


def test_every_action_works_in_the_other_database(moved: None, admin_client: Client) -> None:
    [key], [job] = scenes.results(status="FAILED"), scenes.jobs()
    response = admin_client.post(address("result", "retry", key), follow=True)
    assert response.redirect_chain[-1][0] == address("job", "change", key)
    post_action(admin_client, "job", "cancel", [key, job])
    assert Result.objects.using("queue").filter(status="CANCELLED").count() == 2
    admin_client.post(address("result", "delete", job), {"post": "yes"})
    confirm(admin_client, post_action(admin_client, "result", "delete_selected", [key]))
    assert not Result.objects.using("queue").exists()
    admin_client.post(address("queue", "pause"), {"name": "mail", "backend": "default"})
    assert Queue.objects.using("queue").get().paused
    assert "Paused." in text(admin_client.get(address("queue", "history", Queue.objects.using("queue").get().pk)))


def test_of_several_databases_one_is_shown(separate: None, admin_client: Client) -> None:
    [here], [there] = scenes.results(), scenes.results(backend="elsewhere")
    worker = scenes.add_worker(backend="elsewhere")
    assert rows(admin_client.get(address("result"))) == [here]
    assert rows(admin_client.get(address("result"), {"backend": "elsewhere"})) == [there]
    assert rows(admin_client.get(address("result"), {"backend": "nonsense"})) == []
    assert rows(admin_client.get(address("worker"), {"backend": "elsewhere"})) == [worker.pk]
    assert text(admin_client.get(address("result"))).count("By backend default elsewhere") == 1


def test_a_row_is_found_in_whichever_database_it_is(separate: None, admin_client: Client) -> None:
    [there], [job] = scenes.results(backend="elsewhere"), scenes.jobs(backend="elsewhere")
    assert "elsewhere" in text(admin_client.get(address("result", "change", there)))
    response = admin_client.get(address("job"), {"q": str(there)}, follow=True)
    assert response.redirect_chain == [(address("result", "change", there), 302)]
    admin_client.post(address("job", "cancel", job))
    assert Result.objects.using("queue").get(pk=job).status == "CANCELLED"
    url = address("result") + "?backend=elsewhere"
    admin_client.post(url, {"action": "retry", "index": 0, "_selected_action": [str(there), str(job)]})
    assert Job.objects.using("queue").count() == 2


# other sites


def urls_with(site: admin.AdminSite) -> ModuleType:
    """Return the URLconf of a project with an admin site of its own in addition to the default one."""
    module = ModuleType("urls")
    module.urlpatterns = [path("admin/", admin.site.urls), path("own/", site.urls)]  # type: ignore[attr-defined]
    return module


def test_a_site_of_ones_own_has_the_pages(settings: Any, admin_client: Client) -> None:
    site = admin.AdminSite("own")
    register(site)
    settings.ROOT_URLCONF = urls_with(site)
    [key], [job] = scenes.results(status="FAILED"), scenes.jobs()
    for model in ("job", "result", "worker", "queue"):
        page = admin_client.get(f"/own/django_tasks_q/{model}/")
        assert page.status_code == 200
        assert 'href="/admin/' not in page.content.decode()
    page = admin_client.get(f"/own/django_tasks_q/result/{key}/change/")
    assert f"/own/django_tasks_q/result/{key}/retry/" in page.content.decode()
    response = admin_client.post(f"/own/django_tasks_q/result/{key}/retry/", follow=True)
    assert response.redirect_chain[-1][0] == f"/own/django_tasks_q/job/{key}/change/"
    assert admin_client.get(f"/own/django_tasks_q/job/{job}/change/").status_code == 200


def test_a_site_may_show_a_part_only(settings: Any, admin_client: Client) -> None:
    site = admin.AdminSite("own")
    site.register(Result, ResultAdmin)
    settings.ROOT_URLCONF = urls_with(site)
    [key] = scenes.results(status="FAILED")
    assert admin_client.get("/own/django_tasks_q/result/").status_code == 200
    page = admin_client.get(f"/own/django_tasks_q/result/{key}/change/")
    assert page.status_code == 200
    assert "/worker/" not in page.content.decode()
    response = admin_client.post(f"/own/django_tasks_q/result/{key}/retry/", follow=True)
    assert response.redirect_chain[-1][0] == "/own/django_tasks_q/result/"


def test_without_any_backend_of_ours_the_lists_are_there(settings: Any, admin_client: Client) -> None:
    settings.TASKS = {}
    assert [admin_client.get(address(model)).status_code for model in ("job", "result", "worker", "queue")] == [
        200
    ] * 4
    assert not Worker.objects.exists()
