"""What tasks have logged, on the pages of jobs and results."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from django_tasks_q.models import JobLog

from ... import scenes
from ..pages import address, text

pytestmark = pytest.mark.django_db

AT = 1_767_225_600.5


def test_lines_are_shown_as_text(admin_client: Client) -> None:
    [key] = scenes.running()
    hostile = "<script>alert('é')</script>\x1b[2J"
    scenes.log(key, [[AT, "ERROR", "<b>shop", hostile], [AT, '"><i>', "", "… 3 lines left out …"]])
    page = admin_client.get(address("job", "change", key))
    assert f"ERROR <b>shop {hostile}" in text(page)
    assert "… 3 lines left out …" in text(page)
    body = page.content.decode()
    assert not any(tag in body for tag in ("<script>alert", "<b>shop", '"><i>'))
    assert '<span class="tasksq-badge tasksq-failed">ERROR</span>' in body
    assert re.search(
        r'<time datetime="2026-01-01T01:00:00.500000\+01:00" title="2026-01-01">01:00:00.500</time>', body
    )


def test_each_attempt_has_its_own_the_last_one_first(admin_client: Client) -> None:
    scenes.jobs()
    for number in (1, 2):
        (job,) = scenes.claim()
        scenes.log(job.id, [[AT, "INFO", "shop", f"run {number}"]] * number, attempt=number)
        scenes.finish([job], "READY" if number == 1 else "FAILED")
    page = admin_client.get(address("result", "change", job.id))
    shown = re.sub(r"\s+", " ", text(page))
    assert re.search(r"Attempt 2 2 lines .* run 2 .* run 2 .*Attempt 1 1 line .* run 1", shown)
    with translation.override("de"):
        assert admin_client.get(address("result", "change", job.id)).status_code == 200


def test_a_job_that_has_logged_nothing_has_no_such_section(admin_client: Client) -> None:
    [key] = scenes.running()
    assert "tasksq-logs" not in admin_client.get(address("job", "change", key)).content.decode()


@pytest.mark.parametrize("damaged", [3, {}, [1], [["x"]], [[1e300, None, [], {}]], [["no", 1, 2, ""]]])
def test_what_is_damaged_is_shown_as_far_as_it_can_be(admin_client: Client, damaged: Any) -> None:
    [key] = scenes.running()
    scenes.log(key, [[AT, "INFO", "shop", "sound"]])
    JobLog.objects.create(job_id=key, attempt=1, entries=damaged)
    assert "sound" in text(admin_client.get(address("job", "change", key)))


def test_of_very_many_rows_the_last_are_shown(admin_client: Client) -> None:
    [key] = scenes.running()
    JobLog.objects.bulk_create(
        JobLog(job_id=key, attempt=1, entries=[[AT, "INFO", "shop", f"row {number}."]]) for number in range(501)
    )
    shown = text(admin_client.get(address("job", "change", key)))
    assert "Earlier lines are not shown." in shown
    assert "row 0." not in shown
    assert "row 1." in shown
    assert "row 500." in shown
