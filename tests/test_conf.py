import logging
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_tasks_q import Constant, Exponential, Linear
from django_tasks_q.conf import DEFAULTS, Options, find_problems, read_options
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.task_options import OPTION_NAMES


def test_nothing_given_gives_the_defaults() -> None:
    assert read_options("default", {}) == DEFAULTS == Options()


def test_the_defaults_themselves_are_allowed() -> None:
    given = {name: getattr(DEFAULTS, name) for name in Options.__dataclass_fields__}
    assert list(find_problems(given)) == []


def test_a_failure_is_kept_for_its_own_time_and_any_other_result_for_the_usual_one() -> None:
    options = Options(result_ttl=1.0, failure_ttl=None)
    assert {status: options.ttl(status) for status in ResultStatus} == {
        "SUCCESSFUL": 1.0, "FAILED": None, "CANCELLED": 1.0,
    }  # fmt: skip


def test_an_unknown_option_is_refused_and_the_nearest_one_named() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read_options("reports", {"max_attempt": 3})
    assert str(caught.value) == (
        'TASKS["reports"]["OPTIONS"]: There is no option "max_attempt". Did you mean "max_attempts"?'
    )


def test_an_option_like_no_other_is_answered_with_all_of_them() -> None:
    (problem,) = find_problems({"qqqqq": 1})
    assert problem.unknown
    assert all(name in problem.hint for name in ("max_attempts", "result_ttl", "database"))


def test_an_option_in_upper_case_finds_its_name() -> None:
    (problem,) = find_problems({"RESULT_TTL": 1})
    assert problem.hint == 'Did you mean "result_ttl"?'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("result_ttl", "7 days"),
        ("result_ttl", -1),
        ("result_ttl", True),
        ("failure_ttl", timedelta(seconds=-1)),
        ("timeout", 0),
        ("soft_timeout", -3),
        ("heartbeat_interval", None),
        ("heartbeat_interval", 0.01),
        ("rescue_after", "15"),
        ("unknown_task_delay", 0),
        ("poll_interval", 0),
        ("poll_interval", float("nan")),
        ("max_payload", 10),
        ("max_payload", 2_000.5),
        ("max_errors", 0),
        ("max_traceback", True),
        ("max_attempts", -1),
        ("max_attempts", "3"),
        ("max_losses", 0),
        ("max_losses", 40_000),
        ("max_errors", 2**31),
        ("timeout", 10**400),
        ("result_ttl", timedelta.max),
        ("store_result", "yes"),
        ("statistics", 1),
        ("capture_logs", "info"),
        ("capture_logs", "LOUD"),
        ("capture_logs", "NOTSET"),
        ("capture_logs", 20),
        ("capture_logs", ["INFO"]),
        ("capture_logs", False),
        ("max_logs", 100),
        ("max_logs", None),
        ("max_logs", 2**21),
        ("statistics_ttl", -1),
        ("notifier", "rabbit"),
        ("notifier", ["redis"]),
        ("database", ""),
        ("database", 3),
        ("redis_cache", None),
        ("backoff", "exponential"),
        ("backoff", True),
        ("backoff", []),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read_options("default", {name: value})
    assert f"{name} is {value!r}." in str(caught.value)


@pytest.mark.parametrize("value", ["too-short", "", 5, True, "ü" * 30])
def test_a_token_that_does_not_fit_is_refused_without_being_shown(value: Any) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read_options("default", {"api_token": value})
    said = "api_token is invalid. It must be a text of at least 20 ASCII characters, or None."
    assert str(caught.value) == f'TASKS["default"]["OPTIONS"]: {said}'


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_time_without_end_is_refused(value: float) -> None:
    assert [problem.key for problem in find_problems({"timeout": value})] == ["timeout"]


@pytest.mark.parametrize("given", [[], "text", 0, None, ["timeout"]])
def test_options_that_are_no_dict_are_one_problem(given: Any) -> None:
    assert [problem.key for problem in find_problems(given)] == ["OPTIONS"]


def test_every_problem_is_found_at_once() -> None:
    found = {
        problem.key for problem in find_problems({"max_attempt": 1, "timeout": 0, "notifier": "x", "max_errors": 2})
    }
    assert found == {"max_attempt", "timeout", "notifier"}


def test_times_may_be_timedeltas_and_become_seconds() -> None:
    options = read_options(
        "default", {"result_ttl": timedelta(days=1), "timeout": timedelta(minutes=2), "poll_interval": 1}
    )
    assert (options.result_ttl, options.timeout, options.poll_interval) == (86_400.0, 120.0, 1.0)


def test_none_keeps_results_for_ever() -> None:
    options = read_options("default", {"result_ttl": None, "failure_ttl": None})
    assert (options.result_ttl, options.failure_ttl) == (None, None)


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        (5, Constant(5.0)),
        ([1, 2.5], Constant((1.0, 2.5))),
        (Linear(3), Linear(3)),
        (Exponential(3, 2, 9, False), Exponential(3, 2, 9, False)),
    ],
)
def test_backoff_becomes_a_policy(given: Any, policy: Any) -> None:
    assert read_options("default", {"backoff": given}).backoff == policy


@pytest.mark.parametrize(
    "given",
    [
        {"rescue_after": 5},
        {"heartbeat_interval": 10},
        {"heartbeat_interval": 1, "rescue_after": 2},
        {"heartbeat_interval": timedelta(seconds=6), "rescue_after": timedelta(seconds=17)},
    ],
)
def test_a_worker_that_misses_one_beat_must_not_be_taken_for_dead(given: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="less than three times heartbeat_interval"):
        read_options("default", given)


def test_three_beats_are_enough() -> None:
    assert read_options("default", {"heartbeat_interval": 0.5, "rescue_after": 1.5}).rescue_after == 1.5


def test_every_default_of_a_task_is_an_option_of_it() -> None:
    shared = {"max_attempts", "backoff", "timeout", "soft_timeout", "store_result"}
    assert shared <= set(OPTION_NAMES)
    assert shared <= set(Options.__dataclass_fields__)


@pytest.mark.parametrize("level", [None, "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_a_level_of_logging_or_none_is_captured(level: str | None) -> None:
    assert read_options("default", {"capture_logs": level}).capture_logs == level


def test_a_level_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"It must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, or None"
    ):
        read_options("default", {"capture_logs": "TRACE"})


def test_a_level_of_the_project_may_be_captured() -> None:
    logging.addLevelName(25, "NOTICE")
    assert read_options("default", {"capture_logs": "NOTICE"}).capture_logs == "NOTICE"
