import argparse
import io
import json
import re
import sys
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_tasks_q.brokers import get_broker
from django_tasks_q.compat import FRAMEWORK
from django_tasks_q.control.queues import pause
from django_tasks_q.lifecycle import JobStatus, ResultStatus, WorkerStatus
from django_tasks_q.management.commands.tasks import Command
from django_tasks_q.models import Job, Queue, Result

from .. import scenes
from ..tasks import add, boom, echo
from ..waiting import wait_for
from .conftest import ROOT, Ran

Tasks = Callable[..., Ran]
IMMEDIATE = f"{FRAMEWORK}.backends.immediate.ImmediateBackend"
MISSING = uuid.UUID("01890000-0000-7000-8000-000000000000")


def columns(text: str) -> list[list[str]]:
    return [row.split() for row in text.splitlines() if row]


# Every verb


VERBS = (
    "stats", "list", "show", "retry", "cancel", "run-now", "move", "enqueue", "pause", "resume", "prune", "workers",
    "health",
)  # fmt: skip


def test_the_verbs_are_there(tasks_process: Tasks) -> None:
    shown = tasks_process("--help")
    assert shown.code == 0
    assert all(f"\n    {verb} " in shown.out for verb in VERBS)


@pytest.mark.parametrize("arguments", [(), ("frobnicate",), ("stats", "--frob"), ("list", "--status", "odd")])
def test_wrong_usage_ends_with_2(tasks_process: Tasks, arguments: tuple[str, ...]) -> None:
    ran = tasks_process(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage: ")


def test_without_a_verb_all_are_listed(tasks_process: Tasks, tasks: Tasks) -> None:
    ran = tasks_process()
    assert ran.code == 2
    assert all(f"\n    {verb} " in ran.err for verb in VERBS)
    called = tasks()
    assert called.code == 2
    assert "\n    health " in called.err
    schedules = tasks("schedules")
    assert schedules.code == 2
    assert all(f"\n    {action} " in schedules.err for action in ("list", "sync", "import"))


def test_call_command_raises_what_a_shell_shows(db: None) -> None:
    with pytest.raises(CommandError, match="^Error: argument --limit") as wrong:
        call_command("tasks", "list", "--limit", "none")
    with pytest.raises(CommandError, match="^No worker is alive") as unhealthy:
        call_command("tasks", "health", stdout=io.StringIO())
    assert (wrong.value.returncode, unhealthy.value.returncode) == (2, 1)
    assert call_command("tasks", "stats", stdout=io.StringIO()) is None


def test_a_backend_that_is_not_there_is_wrong_usage(tasks: Tasks) -> None:
    ran = tasks("stats", "--backend", "nope")
    assert ran.code == 2
    assert 'there is no backend "nope" in TASKS, only default' in ran.err


def test_a_backend_of_another_kind_is_refused(tasks: Tasks, settings: Any) -> None:
    path = settings.TASKS["default"]["BACKEND"]
    settings.TASKS = {"default": {"BACKEND": path}, "now": {"BACKEND": IMMEDIATE}}
    ran = tasks("stats", "--backend", "now")
    assert ran.code == 2
    assert 'TASKS["now"] is ImmediateBackend, which keeps no jobs in the database' in ran.err


def test_an_option_that_is_wrong_is_told_in_one_line(tasks: Tasks, settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"result_tll": 1}}}
    ran = tasks("stats")
    assert ran.code == 1
    assert 'Did you mean "result_ttl"?' in ran.err
    assert "\n" not in ran.err


def test_djangos_own_arguments_go_before_the_verb_and_behind(tasks_process: Tasks) -> None:
    before = tasks_process("--verbosity", "0", "list", "--json")
    behind = tasks_process("list", "--json", "-v", "0", "--settings", "tests.settings", "--no-color", "--traceback")
    assert (before.code, before.out) == (behind.code, behind.out) == (0, "[]\n")


@pytest.mark.parametrize("arguments", [("stats",), ("cancel", "--queue", "x")])
def test_a_database_that_is_down_is_told_in_one_line(tasks_process: Tasks, arguments: tuple[str, ...]) -> None:
    ran = tasks_process(*arguments, settings="tests.management.unreachable")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("CommandError: The database cannot answer: ")
    assert ran.err.count("\n") == 1


def test_a_terminal_that_knows_only_ascii_gets_ascii(tasks_process: Tasks) -> None:
    [job_id] = scenes.jobs(task=echo, args=["Grüße 🐢"])
    ran = tasks_process("show", job_id, PYTHONIOENCODING="ascii")
    assert ran.code == 0
    assert "Gr\\xfc\\xdfe \\U0001f422" in ran.out


def test_another_backend_can_be_named(tasks: Tasks, settings: Any) -> None:
    settings.TASKS = {"default": settings.TASKS["default"], "other": settings.TASKS["default"]}
    [job_id] = scenes.jobs(backend="other")
    assert tasks("show", job_id).code == 1
    assert tasks("show", job_id, "--backend", "other").code == 0
    assert tasks("cancel", job_id, "--backend", "other").code == 0


# stats


def test_stats_shows_each_queue(tasks: Tasks) -> None:
    scenes.jobs(2)
    scenes.jobs(3, run_after=timedelta(hours=1))
    scenes.running(1)
    scenes.results(4, ResultStatus.FAILED)
    scenes.add_worker()
    pause("mail")
    ran = tasks("stats")
    queues, results = ran.out.split("\n\n")
    header, default, mail = columns(queues)
    assert header[:6] == ["Queue", "Paused", "Ready", "Scheduled", "Waiting", "Running"]
    assert default[:6] == ["default", "no", "2", "3", "0", "1"]
    assert (default[-1], mail) == ("1", ["mail", "yes", "0", "0", "0", "0", "-", "1"])
    assert columns(results)[1:] == [["SUCCESSFUL", "0"], ["FAILED", "4"], ["CANCELLED", "0"]]
    assert ran.code == 0


def test_stats_as_json(tasks: Tasks) -> None:
    scenes.jobs(2)
    scenes.results(1)
    document = tasks("stats", "--json").json
    [queue] = document["queues"]
    assert (queue["name"], queue["ready"], queue["paused"], queue["workers"]) == ("default", 2, False, 0)
    assert (queue["inexact"], document["results"]["SUCCESSFUL"]) == ({}, 1)
    assert queue["oldest_ready_seconds"] >= 0


def test_stats_marks_what_is_no_exact_number(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("counts", "queues"):
        monkeypatch.setattr(f"django_tasks_q.monitoring.{module}.BOUND", 3)
    scenes.jobs(5)
    shown = columns(tasks("stats").out)[1][2]
    assert shown.startswith("~") or shown.endswith("+")
    [queue] = tasks("stats", "--json").json["queues"]
    assert queue["inexact"]["ready"] in ("about", "at least")


def test_stats_of_nothing(tasks: Tasks) -> None:
    assert "No queue holds a job" in tasks("stats").out


# list


def test_list_shows_the_newest_first(tasks: Tasks) -> None:
    [done] = scenes.results(seconds_ago=100)
    [ready] = scenes.jobs(task=add, args=(1, 2), queue_name="mail")
    _, first, second = columns(tasks("list").out)
    assert first[:5] == [str(ready), "READY", "mail", "tests.tasks.add", "0"]
    assert second[:5] == [str(done), "SUCCESSFUL", "default", "tests.tasks.noop", "1"]
    assert [row["id"] for row in tasks("list", "--json").json] == [str(ready), str(done)]


def test_list_can_be_narrowed(tasks: Tasks) -> None:
    scenes.results(2, ResultStatus.FAILED)
    scenes.results(1, ResultStatus.SUCCESSFUL)
    scenes.jobs(2)
    scenes.jobs(1, add, (1, 2), queue_name="mail")

    def found(*arguments: str) -> int:
        return len(tasks("list", "--json", *arguments).json)

    assert found("--status", "failed") == 2
    assert found("--status", "Ready", "--status", "SUCCESSFUL") == 4
    assert found("--queue", "mail") == found("--task", "tests.tasks.add") == 1
    assert found("--limit", "4") == 4


def test_list_of_nothing_is_no_failure(tasks: Tasks) -> None:
    ran = tasks("list", "--queue", "nope")
    assert (ran.code, ran.out) == (0, "No jobs found.\n")


# show


def test_show_tells_everything_about_a_result(tasks: Tasks) -> None:
    using = {"queue_name": "mail", "metadata": {"tenant": "acme"}, "timeout": 30}
    [result_id] = scenes.results(1, task=echo, return_value=["Grüße", None], **using)
    ran = tasks("show", result_id)
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert f"Id             {result_id}" in lines
    assert "Status         SUCCESSFUL" in lines
    assert "Attempts       1 (0 failed, 0 lost with their process)" in lines
    assert "Worker         w1" in lines
    assert lines[lines.index("Return value") + 1] == '  ["Grüße", null]'
    assert lines[lines.index("Metadata") + 1] == '  {"tenant": "acme"}'
    assert lines[lines.index("Options") + 1] == '  {"timeout": 30.0}'


def test_show_has_the_traceback_of_every_attempt(tasks: Tasks) -> None:
    [failed] = scenes.jobs()
    scenes.finish(scenes.claim(), JobStatus.READY, errors=scenes.error("ValueError: first"))
    scenes.finish(scenes.claim(worker="w2"), ResultStatus.FAILED, worker="w2", reason="ValueError: second",
                  errors=scenes.error("ValueError: second", attempt=2, worker="w2"))  # fmt: skip
    shown = tasks("show", failed).out
    assert "\nReason         ValueError: second\n" in shown
    first, second = shown.split("\nAttempt 2 on worker w2: builtins.ValueError\n")
    assert "\nAttempt 1 on worker w1: builtins.ValueError\n" in first
    assert first.rstrip().endswith("\n  ValueError: first")
    assert second.rstrip().endswith('\n    File "tasks.py", line 1, in boom\n  ValueError: second')


def test_show_says_why_a_live_job_is_not_running(tasks: Tasks) -> None:
    pause("mail")
    [job_id] = scenes.jobs(queue_name="mail")
    assert '\nWhy       Queue "mail" has been paused since' in tasks("show", job_id).out
    assert tasks("show", job_id, "--json").json["why"].startswith('Queue "mail" has been paused since')


def test_show_says_how_far_a_job_is(tasks: Tasks) -> None:
    [job_id] = scenes.running()
    assert "Progress" not in tasks("show", job_id).out
    said = {"done": 1_500, "total": None, "message": "\x1b[2Jrows", "at": "2026-01-01T00:00:00+00:00"}
    get_broker("default").save_progress("w1", {str(job_id): json.dumps(said)})
    assert "\nProgress       1,500, \\x1b[2Jrows, at 2026-01-01 01:00:00+01:00\n" in tasks("show", job_id).out
    assert tasks("show", job_id, "--json").json["progress"] == said


def test_show_has_what_the_runs_have_logged_where_that_is_asked_for(tasks: Tasks) -> None:
    [job_id] = scenes.running()
    hostile = [[1_767_225_600.5, "INFO", "shop", "two\n\x1b[2Jlines"], [0, "", "", "… 3 lines left out …"]]
    scenes.log(job_id, hostile, attempt=1)
    assert "Log of" not in tasks("show", job_id).out
    assert "logs" not in tasks("show", job_id, "--json").json
    shown = tasks("show", job_id, "--logs").out
    said = "  2026-01-01 01:00:00+01:00 INFO shop: two\n  \\x1b[2Jlines\n  … 3 lines left out …"
    assert shown.rstrip().endswith(f"\n\nLog of attempt 1\n{said}")
    first, second = tasks("show", job_id, "--logs", "--json").json["logs"]
    assert first == {
        "attempt": 1, "at": "2026-01-01T00:00:00.500Z", "level": "INFO", "logger": "shop",
        "message": "two\n\x1b[2Jlines",
    }  # fmt: skip
    assert (second["at"], second["message"]) == (None, "… 3 lines left out …")


def test_show_as_json_has_every_column(tasks: Tasks) -> None:
    [result_id] = scenes.results(1, task=echo, return_value={"a": 1})
    document = tasks("show", result_id, "--json").json
    assert {field.attname for field in Result._meta.concrete_fields} < document.keys()
    assert (document["id"], document["return_value"], document["why"]) == (str(result_id), {"a": 1}, None)


@pytest.mark.parametrize("job_id", ["nonsense", str(MISSING), "\x1b[31m"])
def test_show_of_what_is_not_there_ends_with_1(tasks: Tasks, job_id: str) -> None:
    ran = tasks("show", job_id)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(("There is no job and no result", repr(job_id)))
    assert "\x1b" not in ran.err


@pytest.mark.parametrize("hostile", ["\x1b]0;owned\x07", "\x1b[2J", "\u202e", "a\rb"])
def test_nothing_that_a_task_wrote_drives_the_terminal(tasks: Tasks, hostile: str) -> None:
    entry = json.loads(scenes.error(f"ValueError: {hostile}"))
    entry["exception"] = entry["worker"] = hostile
    [result_id] = scenes.results(
        1,
        ResultStatus.FAILED,
        echo,
        args=[hostile],
        queue_name=f"q{hostile}",
        reason=hostile,
        errors=json.dumps(entry),
    )
    scenes.jobs(queue_name=f"q{hostile}")
    scenes.add_worker(queues=["other", hostile])
    for arguments in (("show", result_id), ("list",), ("stats",), ("workers",), ("health",), ("pause", hostile)):
        for form in ((), ("--json",)):
            assert not [char for char in hostile if not char.isprintable() and char in tasks(*arguments, *form).out]


def test_a_row_that_is_damaged_is_shown_all_the_same(tasks: Tasks) -> None:
    [job_id] = scenes.jobs()
    Job.objects.update(args="nonsense", kwargs=[1], errors=[{"traceback": None}])
    ran = tasks("show", job_id)
    assert ran.code == 0
    assert '"nonsense"' in ran.out
    assert "Attempt ? on worker ?: ?" in ran.out


# retry


def test_retry_of_ids(tasks: Tasks) -> None:
    ids = scenes.results(2, ResultStatus.FAILED)
    ran = tasks("retry", *ids)
    assert (ran.code, ran.out) == (0, "Retried 2 jobs.\n")
    assert Job.objects.filter(status=JobStatus.READY).count() == 2


def test_retry_names_what_it_left_and_why(tasks: Tasks) -> None:
    [failed], [held] = scenes.results(1, ResultStatus.FAILED), scenes.running()
    ran = tasks("retry", failed, held, MISSING, "nonsense")
    assert ran.code == 1
    done, *left = ran.out.splitlines()
    assert done == "Retried 1 job."
    assert f"Not retried: {held} is RUNNING, and only what has finished can be retried." in left
    assert "Not retried: 'nonsense' is not the id of a job: that is a UUID." in left
    assert any(each.startswith(f"Not retried: There is no job and no result {MISSING}") for each in left)


def test_retry_as_json(tasks: Tasks) -> None:
    [failed], [held] = scenes.results(1, ResultStatus.FAILED), scenes.running()
    document = tasks("retry", failed, failed, held, "--json").json
    assert document["retried"] == 1
    assert [refused["id"] for refused in document["refused"]] == [str(held)]


def test_retry_of_all_that_failed(tasks: Tasks) -> None:
    scenes.results(3, ResultStatus.FAILED)
    scenes.results(2, ResultStatus.FAILED, add, args=(1, 2), queue_name="mail")
    assert tasks("retry", "--all-failed", "--task", "tests.tasks.add", "--queue", "mail").out == "Retried 2 jobs.\n"
    assert tasks("retry", "--all-failed", "--limit", "2").out == "Retried 2 jobs.\n"
    assert tasks("retry", "--all-failed", "--json").json == {"retried": 1, "refused": []}
    again = tasks("retry", "--all-failed")
    assert (again.code, again.out) == (1, "Retried 0 jobs.\n")


@pytest.mark.parametrize(
    "arguments", [(), (str(MISSING), "--all-failed"), (str(MISSING), "--queue", "mail"), ("--limit", "3")]
)
def test_retry_wants_ids_or_all_that_failed(tasks: Tasks, arguments: tuple[str, ...]) -> None:
    assert tasks("retry", *arguments).code == 2


# cancel


def test_cancel_of_ids(tasks: Tasks) -> None:
    ids = scenes.jobs(2)
    assert tasks("cancel", *ids).out == "Cancelled 2 jobs.\n"
    assert set(Result.objects.values_list("reason", flat=True)) == {"Cancelled by manage.py tasks cancel."}


def test_cancel_asks_what_runs_to_stop(tasks: Tasks) -> None:
    [ready], [held], [done] = scenes.jobs(), scenes.running(), scenes.results()
    ran = tasks("cancel", ready, held, done)
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "Cancelled 1 job.",
        f"Not cancelled: {done} has finished already: it is SUCCESSFUL.",
        "Asked 1 running job to stop.",
    ]
    again = tasks("cancel", held, "--json")
    assert (again.code, again.json) == (0, {"cancelled": 0, "refused": [], "asked": 1})
    assert "Cancelled by manage.py tasks cancel." in tasks("show", held).out


def test_cancel_of_a_queue_asks_first(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes.jobs(2, queue_name="mail")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\ny\n"))
    declined = tasks("cancel", "--queue", "mail")
    assert (declined.code, declined.out) == (1, "Cancelled 0 jobs.\n")
    assert 'Cancel 2 jobs of queue "mail"? [y/N]' in declined.err
    assert Job.objects.count() == 2
    agreed = tasks("cancel", "--queue", "mail", "--json")
    assert (agreed.code, agreed.json) == (0, {"cancelled": 2, "refused": [], "asked": 0, "running": 0})


def test_cancel_without_anybody_to_ask_is_wrong_usage(tasks_process: Tasks) -> None:
    scenes.jobs()
    ran = tasks_process("cancel", "--queue", "default")
    assert ran.code == 2
    assert "give --yes" in ran.err
    assert Job.objects.count() == 1


def test_cancel_with_yes_does_not_ask(tasks: Tasks) -> None:
    scenes.running(1)
    scenes.jobs(2)
    scenes.jobs(1, add, (1, 2))
    ran = tasks("cancel", "--task", "tests.tasks.noop", "--queue", "default", "--yes")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "Cancelled 2 jobs.",
        "Not cancelled: 1 running; --running cancels those too.",
    ]
    running = tasks("cancel", "--task", "tests.tasks.noop", "--running", "--yes")
    assert (running.code, running.out) == (0, "Cancelled 0 jobs.\nAsked 1 running job to stop.\n")
    nothing = tasks("cancel", "--queue", "empty")
    assert (nothing.code, nothing.out, nothing.err) == (1, "Cancelled 0 jobs.\n", "")


@pytest.mark.parametrize("arguments", [(), (str(MISSING), "--queue", "mail"), ("--yes",), (str(MISSING), "--running")])
def test_cancel_wants_ids_or_a_condition(tasks: Tasks, arguments: tuple[str, ...]) -> None:
    assert tasks("cancel", *arguments).code == 2


# pause and resume


def test_pause_and_resume_say_what_changed(tasks: Tasks) -> None:
    assert tasks("pause", "a").out == 'Queue "a" is paused now.\n'
    some = tasks("pause", "a", "b", "b")
    assert some.code == 1
    assert some.out.splitlines() == ['Queue "a" was paused already.', 'Queue "b" is paused now.']
    resumed = tasks("resume", "a", "b", "--json")
    assert (resumed.code, resumed.json) == (0, {"resumed": ["a", "b"], "unchanged": []})
    assert tasks("resume", "a", "--json").json == {"resumed": [], "unchanged": ["a"]}
    assert not Queue.objects.filter(paused=True).exists()


def test_pause_refuses_what_cannot_be_a_queue(tasks: Tasks) -> None:
    ran = tasks("pause", "")
    assert ran.code == 2
    assert "must have 1 to 128 characters" in ran.err


def test_pause_refuses_a_queue_that_cannot_exist_before_it_pauses_another(tasks: Tasks, settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default", "mail"]}}
    for verb in ("pause", "resume"):
        ran = tasks(verb, "mail", "mial")
        assert ran.code == 2
        assert ran.err == "There is no queue “mial” in TASKS, only default, mail. Did you mean “mail”?"
    assert not Queue.objects.exists()
    [job] = scenes.jobs()
    assert tasks("move", job, "--to-queue", "mial").code == 2


# prune


def test_prune_takes_an_age_and_statuses(tasks: Tasks) -> None:
    scenes.results(2, ResultStatus.FAILED, seconds_ago=7_200)
    scenes.results(1, ResultStatus.SUCCESSFUL, seconds_ago=7_200)
    scenes.results(1, ResultStatus.SUCCESSFUL)
    assert tasks("prune", "--older-than", "1h", "--status", "failed").out == "Deleted 2 results.\n"
    assert tasks("prune", "--older-than", "3600", "--json").json == {"deleted": 1}
    nothing = tasks("prune")
    assert (nothing.code, nothing.out) == (0, "Deleted 0 results.\n")


@pytest.mark.parametrize("arguments", [("--older-than", "soon"), ("--older-than", "-1"), ("--status", "ready")])
def test_prune_refuses_other_ages_and_statuses(tasks: Tasks, arguments: tuple[str, ...]) -> None:
    assert tasks("prune", *arguments).code == 2


# workers


def test_workers_marks_those_that_have_gone_silent(tasks: Tasks) -> None:
    online = scenes.add_worker("a", ["mail", "a b"], ["x"], running=1, finished=1_234, memory=3 << 20)
    stale = scenes.add_worker("b", silent_for=1_000)
    stopped = scenes.add_worker("c", status=WorkerStatus.OFFLINE, silent_for=2_000)
    _, first, second = tasks("workers").out.splitlines()
    assert first.startswith(f"{online.id}  ")
    assert first.split()[1:4] == [online.host, str(online.pid), "ONLINE"]
    assert "  mail, 'a b' but x  " in first
    assert "1,234 3.0 MiB" in " ".join(first.split())
    assert second.startswith(stale.id)
    assert "  ONLINE (stale)  all  " in second
    assert re.search(" 1[67] min", second)
    assert tasks("workers", "--all").out.splitlines()[3].startswith(stopped.id)


def test_workers_as_json(tasks: Tasks) -> None:
    scenes.add_worker("a", ["mail"])
    [document] = tasks("workers", "--json").json
    assert (document["queues"], document["alive"], document["stale"]) == (["mail"], True, False)


def test_no_workers(tasks: Tasks) -> None:
    ran = tasks("workers")
    assert (ran.code, ran.out) == (0, "No workers found.\n")


# health


def test_health_of_a_healthy_site(tasks: Tasks) -> None:
    scenes.add_worker()
    ran = tasks("health", "--max-age", "5m")
    assert (ran.code, ran.out) == (0, "Healthy: 1 worker alive.\n")
    assert tasks("health", "--json").json == {"ok": True, "workers": 1, "problems": []}


def test_health_names_every_problem(tasks: Tasks) -> None:
    scenes.add_worker(queues=["default"])
    scenes.jobs()
    scenes.jobs(queue_name="mail")
    ran = tasks("health", "--max-age", "0")
    assert ran.code == 1
    assert len(ran.out.splitlines()) == 3
    assert 'Queue "mail" has ready jobs, but no worker listens to it' in ran.out
    assert tasks("health", "--json").json["ok"] is False


def test_health_of_one_worker(tasks: Tasks) -> None:
    scenes.add_worker("web-1", queues=["reports"])
    scenes.jobs(queue_name="mail")
    assert (tasks("health").code, tasks("health", "--worker", "web-1").code) == (1, 0)
    ran = tasks("health", "--worker", "web-2", "--json")
    problem = 'No worker of the backend "default" has the id or the name "web-2".'
    assert (ran.code, ran.json["problems"]) == (1, [problem])


def test_health_of_some_queues(tasks: Tasks) -> None:
    scenes.add_worker(queues=["reports"])
    scenes.jobs(queue_name="mail")
    assert tasks("health", "--queues", "reports", "--max-age", "5m").code == 0
    ran = tasks("health", "--queues", "reports, mail")
    problem = 'No worker listens to queue "mail": start one with manage.py taskworker --queues mail.\n'
    assert (ran.code, ran.out) == (1, problem)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--worker", "w", "--queues", "mail"), "leave out --queues and --max-age"),
        (("--worker", "w", "--max-age", "1m"), "leave out --queues and --max-age"),
        (("--queues", " ,"), "needs the name of at least one queue"),
        (
            ("--queues", "mial", "--backend", "named"),
            "There is no queue “mial” in TASKS, only mail. Did you mean “mail”?",
        ),
    ],
)
def test_health_refuses_what_makes_no_sense(
    tasks: Tasks, settings: Any, arguments: tuple[str, ...], said: str
) -> None:
    backend = {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": ["mail"]}
    settings.TASKS = {**settings.TASKS, "named": backend}
    ran = tasks("health", *arguments)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_health_of_a_database_that_is_down(tasks_process: Tasks, form: tuple[str, ...]) -> None:
    ran = tasks_process("health", *form, settings="tests.management.unreachable")
    assert (ran.code, ran.err) == (1, "")
    [problem] = ran.json["problems"] if form else ran.out.splitlines()
    assert problem.startswith('The database "default" does not answer: ')


# With a real worker


# Django's own checks, which a worker runs, connect to every MySQL database of the settings.
@pytest.mark.django_db(transaction=True, databases=["default", "queue"])
def test_what_an_operator_sees_and_does_while_a_worker_runs(tasks_process: Tasks, worker: Any) -> None:
    assert tasks_process("health", "--max-age", "60").code == 0
    assert tasks_process("pause", "default").code == 0
    job_id = boom.enqueue("first").id
    assert tasks_process("stats", "--json").json["queues"][0]["ready"] == 1
    assert tasks_process("resume", "default").code == 0
    wait_for(lambda: Result.objects.filter(pk=job_id, attempt=1).exists(), "the first failure")
    assert "ValueError: first" in tasks_process("show", job_id).out
    assert tasks_process("retry", "--all-failed").out == "Retried 1 job.\n"
    wait_for(lambda: Result.objects.filter(pk=job_id, attempt=2).exists(), "the second failure")
    [shown] = tasks_process("workers", "--json").json
    assert (shown["id"], shown["alive"]) == (worker.row.id, True)


# Its page


def test_the_reference_describes_every_verb_and_option() -> None:
    sections = dict(part.split("\n", 1) for part in (ROOT / "docs/reference/commands.md").read_text().split("\n## "))
    common = sections["# tasks"]
    assert {"--backend", "--json"} == set(re.findall(r"^\| `(--[\w-]+)` ", common, re.M))
    for verb in VERBS:
        title = "pause and resume" if verb in ("pause", "resume") else verb
        assert f"`{verb}`" in common
        described = set(re.findall(r"^\| `(--[\w-]+)` ", sections[title], re.M))
        assert described == options_of(verb), verb


def options_of(verb: str) -> set[str]:
    parser = Command().create_parser("manage.py", "tasks")
    [subparsers] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    shown = [action for action in subparsers.choices[verb]._actions if action.help != argparse.SUPPRESS]
    names = {name for action in shown for name in action.option_strings if name.startswith("--")}
    return names - {"--help", "--backend", "--json"}
