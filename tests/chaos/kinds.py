"""What the kinds of tasks of a run promise, for those who do not run them."""

__all__ = [
    "ATOMIC",
    "CANCELLED",
    "DOOMED",
    "EFFECTLESS",
    "LACKING",
    "LOADS",
    "NOBODY",
    "PIPES",
    "PROBES",
    "RECEIVERS",
    "SLOW_RECEIVER",
    "STREAMS",
    "SWARMS",
    "WORKER",
    "follower",
]

ATOMIC = {"atomic", "flaky_atomic", "doomed_atomic", "chain"}
DOOMED = {"doomed", "doomed_atomic", "raises", "deep", "swarm_raises", "swarm_deep"}
# They fail before they could leave an effect.
EFFECTLESS = {"raises", "deep"}
# What may be cancelled while it runs.
CANCELLED = {"held"}
# Tasks with jobs by the thousand, which leave no effects and are counted together.
SWARMS = {"swarm", "swarm_late", "swarm_raises", "swarm_deep"}
# What mixed loads are made of: in the streams of the producers, in some of the workers, and at some moments.
STREAMS = ("payloads", "raising", "deep", "chatty")
RECEIVERS, PIPES = "receivers", "small-pipes"
BURSTS = ("backlog", "due", "unknown", "raising-burst", "dead-workers", "large", "row-locks", "table-lock", "busy")
LOADS = (*STREAMS, RECEIVERS, PIPES, *BURSTS)
# A queue that no worker serves, and the one of the jobs that ask how long it takes.
NOBODY, PROBES = "nobody", "probes"
# Set in the environment of a worker that is deployed before its producers: it does not know the task `late`.
LACKING = "CHAOS_LACKS_LATE"
# Set in the environment of a worker with receivers of task_finished that take a millisecond.
SLOW_RECEIVER = "CHAOS_SLOW_RECEIVER"
# The name of a worker, in its environment.
WORKER = "CHAOS_WORKER"


def follower(key: str) -> str:
    """Return the key of the job that a `chain` enqueues."""
    return f"{key}+"
