"""Events of the worker, each sent once, for logs, metrics and your own receivers.

The sender is the class of the backend. They are sent by the supervisor, which owns the worker's only queue
connection: a receiver must be quick and must not use that database. The framework's own three signals (task_enqueued,
task_started, task_finished) are sent as well, the last two in the process that runs the task.

job_finished     job, outcome                   a Result was recorded
job_retrying     job, outcome                   the job goes back to the queue, after outcome.retry_in seconds
job_lost         job, outcome, reason           the process that ran it is gone
job_superseded   job, outcome                   the completion was refused: another worker owns the job
jobs_rescued     worker_id, count               jobs of a dead worker are READY again
worker_started   worker_id, worker              the worker is ready to claim
worker_stopped   worker_id, worker, exit_code   the worker is gone for good
child_started    worker_id, pid
child_exited     worker_id, pid, cause          cause is None where the end was planned
schedule_fired   schedule, slot, job_id         a slot of a schedule has become a job
schedule_disabled  schedule, reason             a schedule cannot run, and will not until it is changed
"""

from django.dispatch import Signal

__all__ = [
    "child_exited",
    "child_started",
    "job_finished",
    "job_lost",
    "job_retrying",
    "job_superseded",
    "jobs_rescued",
    "schedule_disabled",
    "schedule_fired",
    "worker_started",
    "worker_stopped",
]

# Sent for each job, always by the same few senders.
job_finished = Signal(use_caching=True)
job_retrying = Signal()
job_lost = Signal()
job_superseded = Signal()
jobs_rescued = Signal()
worker_started = Signal()
worker_stopped = Signal()
child_started = Signal()
child_exited = Signal()
schedule_fired = Signal()
schedule_disabled = Signal()
