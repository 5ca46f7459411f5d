"""How long a supervisor may sleep."""

import math
import time

from django_tasks_q.brokers import get_broker
from django_tasks_q.services.base import Periodic, soonest
from django_tasks_q.worker.database import Database
from django_tasks_q.worker.shutdown import Shutdown, ShutdownSignals
from django_tasks_q.worker.sleep import Sleep
from tests.waiting import LIMIT

LONG = 1_000.0


def part(seconds: float) -> Periodic:
    """Return something that is due after this many seconds."""
    periodic = Periodic()
    periodic.due_at = time.monotonic() + seconds
    return periodic


def make_sleep(*, offline: float = math.inf, online: float = math.inf, unlocked: float = math.inf) -> Sleep:
    database = Database(get_broker("default"), Shutdown(ShutdownSignals(), 0.0))
    return Sleep(database, offline=[part(offline)], online=[part(online), part(math.inf)], unlocked=[part(unlocked)])


def is_about(seconds: float, expected: float) -> bool:
    return expected - LIMIT < seconds <= expected


def test_it_lasts_until_the_first_thing_is_due_but_not_longer_than_allowed() -> None:
    assert soonest([]) == math.inf
    assert is_about(make_sleep(offline=2 * LONG, online=LONG, unlocked=3 * LONG).seconds(math.inf), LONG)
    assert make_sleep(online=LONG).seconds(1.0) == 1.0
    assert make_sleep(online=-1.0).seconds(LONG) == 0.0


def test_a_database_that_is_unreachable_is_left_alone() -> None:
    sleep = make_sleep(offline=3 * LONG, online=-1.0, unlocked=-1.0)
    sleep.database.retry_at = time.monotonic() + 2 * LONG
    assert is_about(sleep.seconds(math.inf), 2 * LONG)
    sleep.offline = [part(LONG)]
    assert is_about(sleep.seconds(math.inf), LONG)


def test_what_another_session_has_locked_waits_and_the_rest_does_not() -> None:
    sleep = make_sleep(online=2 * LONG, unlocked=-1.0)
    sleep.database.locked_until = time.monotonic() + LONG
    assert is_about(sleep.seconds(math.inf), LONG)
    sleep.online = [part(-1.0)]
    assert sleep.seconds(math.inf) == 0.0
