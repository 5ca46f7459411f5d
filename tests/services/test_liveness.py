"""Which workers are dead, and which only look like it."""

import ast
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_tasks_q.lifecycle import WorkerStatus
from django_tasks_q.models import Worker
from django_tasks_q.services.liveness import HIDDEN, Liveness
from django_tasks_q.services.registry import Registry

from ..servers import is_required
from .conftest import LOAD, make_registry, silence


def liveness(registry: Registry) -> Liveness:
    return Liveness(registry.broker, registry.clock)


def find_dead(registry: Registry) -> list[Worker]:
    return liveness(registry).find_dead(but=registry.worker_id)


def test_who_was_given_up_cannot_beat(broker: Any, registry: Registry) -> None:
    silence(registry, broker.options.rescue_after + 1)
    other = make_registry(broker)
    other.register()
    (dead,) = find_dead(other)
    assert [row.id for row in liveness(other).lock_dead([dead])] == [registry.worker_id]
    liveness(other).mark_lost(dead)
    assert not registry.beat(LOAD, idle=True)
    assert find_dead(other) == []

    old = registry.worker_id
    assert registry.register() != old
    assert registry.beat(LOAD, idle=False)


def test_who_looks_lives(registry: Registry) -> None:
    silence(registry, 3_600)
    assert find_dead(registry) == []


def test_a_neighbour_without_a_process_is_dead_at_once(broker: Any, registry: Registry) -> None:
    other = make_registry(broker)
    other.register()
    assert find_dead(other) == []
    # Another process has its number now.
    Worker.objects.filter(id=registry.worker_id).update(process_start="1")
    assert [row.id for row in find_dead(other)] == [registry.worker_id]
    Worker.objects.filter(id=registry.worker_id).update(node="another machine")
    assert find_dead(other) == []


HIDING = """
import os
from django_tasks_q.services.liveness import process_start
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print([process_start(pid) for pid in (1, os.getpid(), 2**22)])
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a /proc of its own")
def test_a_neighbour_that_is_hidden_is_not_dead(broker: Any, registry: Registry) -> None:
    """Where /proc is mounted with hidepid, or by systemd's ProtectProc, a process of another user is not there."""
    mount = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c"]
    script = f"import django; django.setup()\n{HIDING}"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    ran = subprocess.run([*command, script], env=environment, capture_output=True, text=True, check=False)
    if ran.returncode and not is_required():
        pytest.skip(ran.stderr)
    first, own, none = ast.literal_eval(ran.stdout.strip() or ran.stderr)
    assert (first, none) == (HIDDEN, "")
    assert own.isdecimal()


def test_who_has_left_is_not_rescued_and_forgotten_in_the_end(broker: Any, registry: Registry) -> None:
    registry.leave(LOAD)
    assert Worker.objects.get().status == WorkerStatus.OFFLINE
    silence(registry, 3_600)
    other = make_registry(broker)
    other.register()
    assert find_dead(other) == []
    liveness(other).forget_old(timedelta(hours=2))
    assert Worker.objects.count() == 2
    liveness(other).forget_old(timedelta(minutes=30))
    assert [row.id for row in Worker.objects.all()] == [other.worker_id]


def test_those_that_are_gone_are_forgotten_bit_by_bit(broker: Any, registry: Registry) -> None:
    gone = timezone.now() - timedelta(hours=2)
    given = {"concurrency": 1, "pid": 1, "started_at": gone, "heartbeat_at": gone, "status": WorkerStatus.LOST}
    Worker.objects.bulk_create(Worker(id=f"w{number}", **given) for number in range(25))
    deleted = [liveness(registry).forget_old(timedelta(hours=1), limit=10) for _ in range(4)]
    assert deleted == [10, 10, 5, 0]
    assert [row.id for row in Worker.objects.all()] == [registry.worker_id]
