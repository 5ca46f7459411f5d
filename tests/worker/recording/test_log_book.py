"""What the parent keeps of what its jobs log, until the database has it."""

import json
from typing import Any

from django_tasks_q.brokers.values import LogLines
from django_tasks_q.worker.recording.log_book import LogBook
from django_tasks_q.worker.wire.frames import LogNote
from django_tasks_q.worker.wire.log_window import Line

from ..jobs import make_job

JOB = make_job()


def line(number: int) -> Line:
    """Return a line that takes up a hundred bytes."""
    return float(number), "INFO", "shop", f"{number:052}"


def note(*numbers: int, left_out: int = 0, held: bool = False) -> LogNote:
    return LogNote(1, held, left_out, tuple(map(line, numbers)))


def said(due: list[LogLines]) -> list[Any]:
    """Return the numbers of the lines of one run, and the texts of those that have none."""
    if not due:
        return []
    (lines,) = due
    assert (lines.job_id, lines.attempt) == (JOB.id, JOB.attempt)
    return [int(text) if text.isdigit() else text for _, _, _, text in json.loads(lines.entries)]


def test_due_lines_stay_due_until_they_are_committed() -> None:
    book = LogBook(2_000)
    assert book.due() == []
    book.take(JOB, note(1, 2))
    assert said(book.due()) == [1, 2]
    book.take(JOB, note(3))
    assert said(book.due()) == [1, 2, 3]
    book.settle()
    assert book.due() == []
    book.take(JOB, note(4))
    book.end(JOB)
    assert said(book.due()) == said(book.due()) == [4]
    book.settle()
    book.end(JOB)
    assert book.due() == []


def test_what_comes_while_it_is_written_is_due_next() -> None:
    book = LogBook(1_000)
    for number in range(8):
        book.take(JOB, note(number))
    assert said(book.due()) == [0, 1, 2, 3, 4]
    book.take(JOB, note(8))
    book.end(JOB)
    book.settle()
    assert said(book.due()) == [5, 6, 7, 8]
    book.settle()
    assert book.due() == []


def test_the_first_are_due_at_once_and_the_last_at_the_end() -> None:
    book = LogBook(1_000)
    for number in range(100):
        book.take(JOB, note(number))
    assert said(book.due()) == [0, 1, 2, 3, 4]
    book.settle()
    assert book.due() == []
    book.end(JOB)
    assert said(book.due()) == ["… 90 lines left out …", 95, 96, 97, 98, 99]


def test_what_the_child_has_left_out_counts() -> None:
    book = LogBook(1_000)
    book.take(JOB, note(0, 1))
    book.take(JOB, note(5, 6, left_out=3))
    # The second gap is nearer to the end: what was kept before it gives way.
    book.take(JOB, note(9, left_out=2))
    assert said(book.due()) == [0, 1]
    book.end(JOB)
    assert said(book.due()) == [0, 1, "… 7 lines left out …", 9]


def test_what_is_held_is_due_at_the_end_or_never() -> None:
    book = LogBook(1_000)
    book.take(JOB, note(1, held=True))
    assert book.due() == []
    book.settle()
    book.end(JOB)
    assert said(book.due()) == [1]
    book.settle()
    book.take(JOB, note(2, held=True))
    book.drop(JOB)
    book.end(JOB)
    assert book.due() == []


def test_a_run_that_begins_before_the_last_end_is_committed_is_another() -> None:
    book = LogBook(1_000)
    book.take(JOB, note(1))
    book.end(JOB)
    book.take(JOB, note(2))
    assert said(book.due()) == [2]
