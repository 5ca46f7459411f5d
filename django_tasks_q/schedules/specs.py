"""The job of a slot."""

import hashlib
from datetime import datetime, timedelta

from ..brokers.base import Broker
from ..brokers.values import JobSpec
from ..compat import DEFAULT_TASK_PRIORITY, DEFAULT_TASK_QUEUE_NAME
from ..ids import uuid7
from ..models import Schedule
from ..moments import to_stored
from ..payloads import dump_arguments, dump_value
from ..task_options import EXPIRES_AT
from .definitions import Definition
from .task_info import TaskInfo

__all__ = ["METADATA", "jitter_of", "make_spec"]

# A job's metadata describes its schedule under this key: {"name": ..., "slot": ...}.
METADATA = "schedule"


def make_spec(
    broker: Broker, row: Schedule, definition: Definition, slot: datetime, now: datetime, shape: TaskInfo | None
) -> JobSpec:
    """Return the job of a slot. Raise UnserializableError if the arguments cannot be stored.

    shape: of its task; None if this process does not know it.
    """
    limit = broker.options.max_payload
    args, kwargs = dump_arguments(definition.args, definition.kwargs, limit)
    metadata: dict[str, object] = {**(shape.metadata if shape else {}), METADATA: _facts(definition, slot)}
    priority = definition.priority
    return JobSpec(
        id=str(uuid7()),
        queue_name=definition.queue_name or (shape.queue_name if shape else DEFAULT_TASK_QUEUE_NAME),
        priority=priority if priority is not None else shape.priority if shape else DEFAULT_TASK_PRIORITY,
        task_path=definition.task_path,
        args=args,
        kwargs=kwargs,
        options=dump_value(_options(definition, slot), "options", limit),
        metadata=dump_value(metadata, "metadata", limit),
        run_after=to_stored(slot + jitter_of(row, definition, slot)) if definition.jitter else None,
        enqueued_at=to_stored(now),
    )


def jitter_of(row: Schedule, definition: Definition, slot: datetime) -> timedelta:
    """Return how long the job of a slot is delayed: always the same for a slot, but different for each."""
    seed = hashlib.blake2b(f"{row.pk} {slot.timestamp()}".encode(), digest_size=8).digest()
    return timedelta(milliseconds=int.from_bytes(seed) % (definition.jitter * 1_000 + 1))


def _facts(definition: Definition, slot: datetime) -> dict[str, str]:
    return {"name": definition.name, "slot": slot.isoformat()}


def _options(definition: Definition, slot: datetime) -> dict[str, object]:
    if definition.expires_after is None:
        return definition.options
    return {**definition.options, EXPIRES_AT: (slot + timedelta(seconds=definition.expires_after)).isoformat()}
