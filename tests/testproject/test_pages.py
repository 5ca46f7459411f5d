import os
import re
from pathlib import Path
from typing import Any

import pytest
from analyser.metrics import measure
from analyser.models import Report, SourceFile
from analyser.packages import find_package, read_source
from analyser.reports import progress, start_report
from django.conf import settings
from django.test import Client

from django_tasks_q.brokers import get_broker
from django_tasks_q.control.jobs import retry
from django_tasks_q.exceptions import UnserializableError
from django_tasks_q.models import Job, Result

from ..conftest import StartWorker
from ..tasks import noop
from ..waiting import wait_for
from .conftest import MakePackage

pytestmark = pytest.mark.usefixtures("transactional_db", "on_site")

ROOT = Path(__file__).parents[2]
REFRESH = '<meta http-equiv="refresh"'
BROKEN = {"__init__.py": "", "good.py": "def f(): pass\n", "bad.py": "def f(:\n"}


def text_of(client: Client, url: str) -> str:
    """Return what a page says, in one line and without its tags."""
    response = client.get(url)
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def wait_for_text(client: Client, url: str, text: str) -> str:
    wait_for(lambda: text in text_of(client, url), f"{text!r} on {url}")
    return text_of(client, url)


def analyse(client: Client, package: str) -> str:
    response = client.post("/reports/", {"package": package})
    assert response.status_code == 302
    return str(response.headers["Location"])


def start_worker_for(start_worker: StartWorker, place: Path) -> Any:
    """Start a worker in which the packages of this place are installed too."""
    return start_worker("--concurrency", "2", environment={"PYTHONPATH": os.pathsep.join([str(ROOT), str(place)])})


def test_the_start_page_offers_every_installed_package(client: Client) -> None:
    page = client.get("/").content.decode()
    assert re.search(r'<option value="django" selected>django · Django [\d.]+', page)
    assert '<option value="pytest">' in page
    assert '<label for="id_package">' in page


@pytest.mark.parametrize("name", ["/etc", "../django", "django.db", "os", "", "<script>alert(1)</script>"])
def test_anything_but_an_installed_package_is_refused(client: Client, name: str) -> None:
    response = client.post("/reports/", {"package": name})
    assert response.status_code == 400
    assert b'role="alert"' in response.content
    assert b"<script>alert" not in response.content
    assert not Report.objects.exists()
    assert not Job.objects.exists()


def test_a_report_fills_in_as_its_jobs_finish(client: Client, start_worker: StartWorker) -> None:
    url = analyse(client, "pluggy")
    files = find_package("pluggy").files()
    assert Job.objects.filter(queue_name="analysis").count() == len(files) > 5
    assert f"Waiting 0 of {len(files)} files" in text_of(client, url)
    assert "No worker is running" in text_of(client, url)
    assert REFRESH in client.get(url).content.decode()

    start_worker("--concurrency", "2")
    page = wait_for_text(client, url, f"Done {len(files)} files in")

    expected = [measure(read_source("pluggy", path)) for path in files]
    for name, attribute in [("Lines", "lines"), ("Functions", "functions"), ("Classes", "classes")]:
        assert f"{name} {sum(getattr(item, attribute) for item in expected):,} " in page
    most_complex = max(expected, key=lambda item: item.complexity)
    assert f"{most_complex.most_complex} pluggy/" in page
    assert "Not parsed 0" in page
    assert REFRESH not in client.get(url).content.decode()
    assert "pluggy" in text_of(client, "/")


def test_the_page_of_a_file_shows_what_its_task_returned(client: Client, start_worker: StartWorker) -> None:
    report = start_report(find_package("pluggy"))
    start_worker("--concurrency", "2")
    wait_for(lambda: progress(report).is_finished, "the report")
    file = SourceFile.objects.get(report=report, path="pluggy/_manager.py")
    # The task says that it is through with the file before its end is recorded.
    page = wait_for_text(client, f"/jobs/{file.pk}/", "Successful")
    assert f"&quot;lines&quot;: {file.lines}," in page
    assert Result.objects.get(pk=file.pk).metadata == {"report": report.pk}


def test_a_file_that_does_not_parse_is_reported(
    client: Client, start_worker: StartWorker, make_package: MakePackage
) -> None:
    place = make_package(BROKEN)
    url = analyse(client, "sample")
    start_worker_for(start_worker, place)
    page = wait_for_text(client, url, "Done 3 files")
    assert "Not parsed 1" in page
    assert "sample/bad.py SyntaxError: invalid syntax (line 1)" in page


def test_a_failed_job_is_shown_and_its_retry_completes_the_report(
    client: Client, start_worker: StartWorker, make_package: MakePackage
) -> None:
    place = make_package(BROKEN)
    url = analyse(client, "sample")
    (place / "sample" / "good.py").unlink()
    start_worker_for(start_worker, place)
    page = wait_for_text(client, url, "1 failed 2 of 3 files analysed")
    assert "FileNotFoundError" in page
    assert "sample/good.py" in page
    assert REFRESH not in client.get(url).content.decode()

    (place / "sample" / "good.py").write_text("def f(): pass\n")
    assert len(retry(Result.objects.filter(status="FAILED").values_list("pk", flat=True))) == 1
    assert "Functions 1" in wait_for_text(client, url, "Done 3 files")


def test_a_deleted_job_does_not_keep_a_report_open(client: Client) -> None:
    url = analyse(client, "pytest_timeout")
    broker = get_broker("default")
    broker.delete_results(broker.cancel([Job.objects.get().pk]).done)
    assert "its job was deleted" in text_of(client, url)


def test_a_report_is_stored_with_all_of_its_jobs_or_not_at_all(make_package: MakePackage) -> None:
    place = make_package({"__init__.py": ""})
    (place / "sample" / os.fsdecode(b"\xff.py")).touch()
    with pytest.raises(UnserializableError):
        start_report(find_package("sample"))
    assert not Report.objects.exists()
    assert not Job.objects.exists()


def test_a_failing_task_can_be_fixed_and_retried(client: Client, on_site: Path, start_worker: StartWorker) -> None:
    url = client.post("/jobs/failing/").headers["Location"]
    assert "Ready" in text_of(client, url)
    start_worker("--concurrency", "1")
    page = wait_for_text(client, url, "Failed")
    assert page.count("builtins.FileNotFoundError") == 2
    assert f"echo Hello &gt; {on_site / 'greeting.txt'}" in page
    assert REFRESH not in client.get(url).content.decode()

    (on_site / "greeting.txt").write_text("Hello <you>")
    retry([Result.objects.get().pk])
    assert "&quot;Hello &lt;you&gt;&quot;" in wait_for_text(client, url, "Successful")


def test_a_delayed_task_runs_at_its_time(client: Client, start_worker: StartWorker) -> None:
    url = client.post("/jobs/delayed/", {"text": "<script>", "seconds": 1}).headers["Location"]
    assert "Scheduled" in text_of(client, url)
    start_worker("--concurrency", "1")
    wait_for_text(client, url, "Successful")
    assert "<code>&lt;script&gt;</code>" in client.get(url).content.decode()
    said = Result.objects.get().return_value
    assert said["text"] == "<script>"
    assert 0 <= said["late_ms"] < 60_000


@pytest.mark.parametrize("given", [{"text": "", "seconds": 5}, {"text": "Hi", "seconds": 0}, {"text": "Hi"}])
def test_a_delay_must_make_sense(client: Client, given: dict[str, Any]) -> None:
    assert client.post("/jobs/delayed/", given).status_code == 400
    assert not Job.objects.exists()


def test_jobs_of_others_and_unknown_ones_are_not_shown(client: Client) -> None:
    assert client.get(f"/jobs/{noop.enqueue().id}/").status_code == 404
    assert client.get("/jobs/01a1fc1f-6448-71f2-9e22-ff31f4144197/").status_code == 404
    assert client.get("/reports/1000000/").status_code == 404


@pytest.mark.parametrize("url", ["/reports/", "/jobs/failing/", "/jobs/delayed/"])
def test_what_acts_wants_post_and_a_token(client: Client, url: str) -> None:
    assert client.get(url).status_code == 405
    assert Client(enforce_csrf_checks=True).post(url, {"package": "pluggy"}).status_code == 403
    assert not Job.objects.exists()


def test_pages_need_nothing_that_their_policy_forbids(client: Client) -> None:
    urls = ["/", analyse(client, "pluggy"), client.post("/jobs/failing/").headers["Location"]]
    for response in [client.get(url) for url in urls]:
        assert response.headers["Content-Security-Policy"] == settings.CONTENT_SECURITY_POLICY
        assert "default-src 'self'" in settings.CONTENT_SECURITY_POLICY
        page = response.content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script>", page)
        assert all(source.startswith("/static/analyser/") for source in re.findall(r'<script[^>]*src="([^"]*)', page))


def test_a_report_takes_the_same_queries_however_many_files_it_has(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    url = analyse(client, "django")
    assert SourceFile.objects.count() > 800
    with django_assert_max_num_queries(10):
        client.get(url)


def test_static_files_are_served_without_debug(client: Client) -> None:
    for name in ("site.css", "live.js", "icon.svg"):
        response = client.get(f"/static/analyser/{name}")
        assert response.status_code == 200
        assert b"".join(response.streaming_content)
