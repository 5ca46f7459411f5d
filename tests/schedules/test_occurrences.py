"""Which occurrences are due, compared with counting them one by one."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from django_tasks_q import cron, every
from django_tasks_q.schedules.definitions import Definition
from django_tasks_q.schedules.occurrences import GRACE, MOST_OCCURRENCES, find_due
from django_tasks_q.schedules.timings import Timing

NOW = datetime(2026, 3, 30, 6, 0, 1, tzinfo=UTC)
# At night and at weekends nothing, else something each minute; and others.
TIMINGS = (
    cron("* 9-17 * * 1-5", tz="Europe/Rome"),
    cron("*/7 * * * *", tz="America/New_York"),
    cron("30 2 * * *", tz="Europe/Rome"),
    every(seconds=1),
    every(seconds=2.5),
    every(minutes=13),
)


def define(timing: Timing, **fields: object) -> Definition:
    values = {"kind": timing.kind, "expression": timing.expression, "timezone": timing.timezone}
    return Definition(name="s", task_path="t", **values, **fields)  # type: ignore[arg-type]


def one_by_one(definition: Definition, first: datetime, until: datetime) -> list[datetime]:
    found, occurrence = [], first
    while occurrence is not None and occurrence <= until:
        found.append(occurrence)
        occurrence = definition.following(occurrence)
    return found


@pytest.mark.parametrize("timing", TIMINGS, ids=lambda timing: timing.expression)
@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_what_is_due_is_what_the_policies_say(timing: Timing, catch_up: str) -> None:
    chance = random.Random(7)
    for _ in range(15):
        window = chance.choice([None, 5, 60, 900, 86_400])
        definition = define(timing, catch_up=catch_up, catch_up_window=window)
        now = NOW + timedelta(minutes=chance.randint(0, 3_000))
        first = definition.following(now - timedelta(seconds=chance.choice([3, 20, 400, 800, 3_600])))
        if first is None or first > now:
            continue
        occurrences = one_by_one(definition, first, now)
        oldest = now - timedelta(seconds=window) if window else first
        late = [occurrence for occurrence in occurrences if oldest <= occurrence < now - GRACE]
        on_time = [occurrence for occurrence in occurrences if occurrence >= now - GRACE]
        wanted = {"none": [], "latest": [] if on_time else late[-1:], "all": late}[catch_up] + on_time
        due = find_due(definition, first, now)
        if len(late) > MOST_OCCURRENCES and catch_up == "all":
            assert (due.occurrences, due.following) == (late[:MOST_OCCURRENCES], late[MOST_OCCURRENCES])
            continue
        assert due.occurrences == wanted
        assert due.following == definition.following(now)
        assert due.missed == (first if first not in wanted else None)


def test_the_last_occurrence_before_a_long_rest_is_found() -> None:
    definition = define(cron("* * * * 1-5", tz="UTC"), catch_up="latest")
    monday = datetime(2026, 3, 29, 23, 50, tzinfo=UTC)
    due = find_due(definition, datetime(2026, 3, 2, tzinfo=UTC), monday)
    assert due.occurrences == [datetime(2026, 3, 27, 23, 59, tzinfo=UTC)]
    ended = define(every(seconds=1), catch_up="latest", end_at=datetime(2025, 1, 1, tzinfo=UTC))
    due = find_due(ended, datetime(2024, 1, 1, tzinfo=UTC), monday)
    assert (due.occurrences, due.following) == ([datetime(2025, 1, 1, tzinfo=UTC)], None)
