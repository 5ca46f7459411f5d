"""What is read from the database at once is bounded in bytes, whatever the payloads are."""

import json
import random
import string
from typing import Any

import pytest

from django_tasks_q.brokers.batches import size_of
from django_tasks_q.lifecycle import Ending
from tests.brokers.conftest import Put, make_outcomes

MEBI = 1_048_576
RANDOM = random.Random(7)


def incompressible(size: int) -> str:
    return "".join(RANDOM.choices(string.ascii_letters + string.digits, k=size))


PAYLOADS = {
    "compressible": "x" * 900_000,
    "incompressible": incompressible(900_000),
    "four bytes": "\U0001f600" * 225_000,
}


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_a_claim_stops_where_there_is_enough(broker: Any, put: Put, text: str) -> None:
    specs = put(30, args=json.dumps([text], ensure_ascii=False))
    claimed: list[str] = []
    while len(claimed) < 30:
        claim = broker.claim_within("w1", "default", 100, broker.largest_claim)
        assert 1 <= len(claim.jobs) <= 10
        assert sum(map(size_of, claim.jobs)) < broker.largest_claim + MEBI
        claimed += [job.id for job in claim.jobs]
        assert claim.is_cut or len(claimed) == 30
    assert claimed == [spec.id for spec in specs]


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_what_fits_however_large_it_is_need_not_be_measured(broker: Any, put: Put, text: str) -> None:
    put(4, args=json.dumps([text], ensure_ascii=False))
    count = broker.few(broker.largest_claim)
    claim = broker.claim_within("w1", "default", count, broker.largest_claim)
    assert (len(claim.jobs), claim.is_cut) == (count, False)
    assert sum(map(size_of, claim.jobs)) < broker.largest_claim


def test_small_jobs_are_claimed_as_many_as_are_wanted(broker: Any, put: Put) -> None:
    put(300, args=json.dumps(["x" * 5_000]))
    claim = broker.claim_within("w1", "default", 200, broker.largest_claim)
    assert (len(claim.jobs), claim.is_cut) == (200, False)


def test_a_job_that_is_larger_than_what_is_wanted_comes_alone(broker: Any, put: Put) -> None:
    put(3, args=json.dumps([incompressible(50_000)]))
    claim = broker.claim_within("w1", "default", 3, 1_000)
    assert (len(claim.jobs), claim.is_cut) == (1, True)


def test_a_large_job_among_small_ones_ends_the_claim(broker: Any, put: Put) -> None:
    put(5)
    put(1, args=json.dumps([incompressible(50_000)]))
    put(5)
    claim = broker.claim_within("w1", "default", 100, 20_000)
    assert (len(claim.jobs), claim.is_cut) == (6, True)


def test_metadata_and_errors_count(broker: Any, put: Put) -> None:
    put(4, metadata=json.dumps({"x": incompressible(100_000)}))
    assert len(broker.claim_within("w1", "default", 100, 150_000).jobs) == 2
    (job, _) = broker.held_by("w1")
    error = json.dumps({"traceback": incompressible(300_000)})
    broker.finish("w1", make_outcomes([job], "READY", error=error, ending=Ending.ERROR))
    assert [item.id for item in broker.claim_within("w2", "default", 1, 1).jobs] == [job.id]
    assert size_of(broker.held_by("w2")[0]) > 400_000


def test_what_a_worker_holds_is_read_in_parts(broker: Any, put: Put) -> None:
    specs = put(20, args=json.dumps([PAYLOADS["incompressible"]]))
    for _ in range(20):
        broker.claim("w1", "default", 1)
    seen: list[str] = []
    while part := broker.held_by("w1", but=seen):
        assert len(part) <= 10
        seen += [job.id for job in part]
    assert seen == [spec.id for spec in specs]
    assert broker.running_under("w1", limit=100) == dict.fromkeys(seen, 1)
