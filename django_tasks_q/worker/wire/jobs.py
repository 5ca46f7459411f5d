"""A job on its way to the process that runs it, and as that process has it."""

import json
import struct
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.utils.dateparse import parse_datetime

from ...brokers.values import ClaimedJob
from ...exceptions import CorruptJob
from ...lifecycle import JobStatus
from ...moments import shown
from ...results import refuse_corrupt
from ...retries import FailedJob
from .frames import HEADER, JOB, make_frame

__all__ = ["JobRow", "encode_job"]

_JOB = struct.Struct(">??7I")
NO_ARGUMENTS = ("[]", "{}")
# The usual values of options, metadata and errors.
PLAIN = ("{}", "{}", "[]")


def encode_job(seq: int, job: ClaimedJob, worker_id: str, clock: float, ended: str | None = None) -> bytes:
    """Return the frame of a job. Its payloads are already JSON and are inserted without parsing.

    clock: how many seconds the database's clock is ahead of this host's. ended: the entry of Job.errors with which the
    job has ended, if it is not to be run but only to be announced as FAILED.
    """
    ending = "null" if ended is None else json.dumps(ended)
    sizes = _JOB.pack(
        ended is not None, bool(job.displaced), len(job.id), len(job.task_path), len(job.args), len(job.kwargs),
        len(job.options), len(job.metadata), len(job.errors),
    )  # fmt: skip
    text = (
        f"{job.id}{job.task_path}{job.args}{job.kwargs}{job.options}{job.metadata}{job.errors}"
        f'{{"queue_name": {_quoted(job.queue_name)}, "priority": {job.priority},'
        f' "run_after": {_moment(job.run_after)}, "enqueued_at": {_moment(job.enqueued_at)},'
        f' "started_at": {_moment(job.started_at)}, "attempt": {job.attempt}, "failures": {job.failures},'
        f' "losses": {job.losses}, "worker_id": {_quoted(worker_id)}, "clock": {clock!r}, "ended": {ending}}}'
    )
    return make_frame(JOB, seq, sizes + text.encode())


def _moment(moment: datetime | None) -> str:
    return "null" if moment is None else f'"{moment.isoformat()}"'


@lru_cache(maxsize=1_024)
def _quoted(text: str) -> str:
    """Return text as JSON; the same few names come with every job."""
    return json.dumps(text)


class JobRow:
    """The columns of a RUNNING job, for code that expects a row of the table.

    Most runs need few of them: the others are parsed when they are first used. What is JSON in the table may be
    damaged, and is parsed by read_payloads().

    has_ended: it is not run, only announced. displaced: it may begin only after the parent has confirmed it.
    stored_arguments: the args and kwargs as the table has them, whatever the task does with what it is given.
    """

    status = JobStatus.RUNNING
    finished_at = progress = None
    args: Any
    kwargs: Any
    options: Any
    metadata: Any
    errors: Any

    def __init__(self, body: bytes, alias: str, began_at: float) -> None:
        """Take a job from the body of its frame. alias: its backend's. began_at: seconds by this host's clock."""
        self.has_ended, self.displaced, job_id, path, args, kwargs, options, metadata, errors = _JOB.unpack_from(body)
        text = body[_JOB.size :].decode()
        # Where each part ends. A loop would take three times as long.
        path += job_id
        args += path
        kwargs += args
        options += kwargs
        metadata += options
        errors += metadata
        self.id = text[:job_id]
        self.task_path = text[job_id:path]
        self.stored_arguments = text[path:args], text[args:kwargs]
        self._others = text[kwargs:options], text[options:metadata], text[metadata:errors]
        self._fields = text[errors:]
        self.backend = alias
        self.began_at = began_at

    @classmethod
    def of(
        cls, job: ClaimedJob, alias: str, began_at: float, worker_id: str, clock: float, ended: str | None = None
    ) -> "JobRow":
        """Return a claimed job as its child would have it, to run it in this process; see encode_job()."""
        return cls(encode_job(0, job, worker_id, clock, ended)[HEADER.size :], alias, began_at)

    def read_payloads(self) -> None:
        """Parse the JSON columns. Raise CorruptJob if they are not a valid call."""
        has_arguments, is_plain = self.stored_arguments != NO_ARGUMENTS, self._others == PLAIN
        if has_arguments:
            args, kwargs = self.stored_arguments
            self.args, self.kwargs = _load("args", args), _load("kwargs", kwargs)
        else:
            self.args, self.kwargs = [], {}
        if is_plain:
            self.options, self.metadata, self.errors = {}, {}, []
        else:
            options, metadata, errors = self._others
            self.options, self.metadata = _load("options", options), _load("metadata", metadata)
            self.errors = _load("errors", errors)
        if has_arguments or not is_plain:
            refuse_corrupt(self)

    def as_failed(self) -> FailedJob:
        """Return the job for a retry policy, counting this run as failed."""
        return FailedJob(
            id=str(self.id),
            task_path=self.task_path,
            queue_name=self.queue_name,
            args=self.args,
            kwargs=self.kwargs,
            metadata=self.metadata,
            attempt=self.attempt,
            failures=self.failures + 1,
            enqueued_at=self.enqueued_at,
        )

    def __getattr__(self, name: str) -> Any:
        """Parse the remaining fields when the first of them is used."""
        if "_fields" not in self.__dict__ or "clock" in self.__dict__:
            raise AttributeError(f"A job's row has no {name!r}.")
        fields = json.loads(self._fields)
        for moment in ("run_after", "enqueued_at", "started_at"):
            fields[moment] = parse_datetime(fields[moment]) if fields[moment] else None
        fields["last_attempted_at"] = shown(self.began_at + fields["clock"])
        if fields["attempt"] == 1:
            # As it will be in the history.
            fields["started_at"] = fields["last_attempted_at"]
        self.__dict__.update(fields)
        return getattr(self, name)


def _load(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CorruptJob(f"The job's {name} must be JSON, but the row holds {text!r:.80}: {error}.") from error
