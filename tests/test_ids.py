import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from django_tasks_q.ids import new_id, uuid7

ROOT = Path(__file__).parent.parent


def test_is_a_version_7_uuid_of_the_rfc_variant() -> None:
    made = uuid7()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_starts_with_the_time_in_milliseconds() -> None:
    # Made by a new process: if a test has moved the clock, the ids of this one go on from the latest.
    make = [sys.executable, "-c", "from django_tasks_q.ids import uuid7; print(uuid7())"]
    before = time.time_ns() // 1_000_000
    made = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert before <= uuid.UUID(made.strip()).int >> 80 <= time.time_ns() // 1_000_000


def test_ids_of_a_process_are_in_order_of_their_creation() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_text_and_hex_sort_like_the_ids() -> None:
    made = [uuid7() for _ in range(1_000)]
    assert sorted(made, key=str) == made
    assert sorted(made, key=lambda item: item.hex) == made


def test_the_text_is_that_of_the_next_id() -> None:
    before, text, after = uuid7(), new_id(), uuid7()
    assert before < uuid.UUID(text) < after
    assert str(uuid.UUID(text)) == text
    assert uuid.UUID(text).version == 7


def test_threads_never_make_the_same_id() -> None:
    made: list[list[uuid.UUID]] = []
    threads = [threading.Thread(target=lambda: made.append([uuid7() for _ in range(5_000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ids == sorted(ids) for ids in made)
    assert len({item for ids in made for item in ids}) == 20_000
