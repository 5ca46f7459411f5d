"""The row of a worker that is this process."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_tasks_q.models import Worker
from django_tasks_q.services.registry import Identity, Load, Registry

LOAD = Load(running=1, finished=2, memory=3)


def make_registry(broker: Any, concurrency: int = 2) -> Registry:
    return Registry(broker, Identity("name", ["a"], ["b"], concurrency))


def silence(registry: Registry, seconds: float) -> None:
    Worker.objects.filter(id=registry.worker_id).update(heartbeat_at=timezone.now() - timedelta(seconds=seconds))


@pytest.fixture
def registry(broker: Any) -> Registry:
    registry = make_registry(broker)
    registry.register()
    return registry
