"""What the kinds of tasks of a run promise, for those who do not run them."""

__all__ = ["ATOMIC", "DOOMED", "LACKING", "WORKER", "follower"]

ATOMIC = {"atomic", "flaky_atomic", "doomed_atomic", "chain"}
DOOMED = {"doomed", "doomed_atomic"}
# Set in the environment of a worker that is deployed before its producers: it does not know the task `late`.
LACKING = "CHAOS_LACKS_LATE"
# The name of a worker, in its environment.
WORKER = "CHAOS_WORKER"


def follower(key: str) -> str:
    """Return the key of the job that a `chain` enqueues."""
    return f"{key}+"
