"""What is stored about how a run ended, and what follows from it."""

import pickle

import pytest

from django_tasks_q.admin.calls.attempts import KINDS
from django_tasks_q.lifecycle import Ending

# Only these have an error of their own: they are what is stored, and what the admin has words for.
STORED = {
    Ending.ERROR: "error",
    Ending.SOFT_TIMEOUT: "soft_timeout",
    Ending.CANCELLED: "cancelled",
    Ending.CORRUPT: "error",
    Ending.PARKED: "parked",
    Ending.UNKNOWN_TASK: "parked",
    Ending.TIMEOUT: "timeout",
    Ending.CANCEL_KILLED: "cancelled",
    Ending.OUT_OF_MEMORY: "lost",
    Ending.LOST: "lost",
}


@pytest.mark.parametrize(("ending", "kind"), STORED.items(), ids=STORED)
def test_errors_are_stored_under_the_same_kinds_as_ever(ending: Ending, kind: str) -> None:
    assert (ending.kind, type(ending.kind)) == (kind, str)
    assert kind == "error" or kind in KINDS


@pytest.mark.parametrize("ending", Ending, ids=str)
def test_no_ending_counts_twice(ending: Ending) -> None:
    assert not (ending.is_failure and ending.is_loss)
    assert ending.is_charged or not (ending.is_failure or ending.is_loss)
    # The hot path compares with "is".
    assert Ending(str(ending)) is ending
    assert pickle.loads(pickle.dumps(ending)) is ending
