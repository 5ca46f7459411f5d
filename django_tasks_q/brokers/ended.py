"""The one way out of the live table: whatever verb ends a job, who listens is told in that transaction."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from .sql import MOST_KEYS, RESULT, placeholders
from .values import Ended
from .verbs import Verbs

if TYPE_CHECKING:
    from .base import Broker

__all__ = ["EndedListener", "EndedVerbs"]


class EndedListener(Protocol):
    """Who is to know of jobs that have ended: added to `Broker.ended_listeners`.

    It is called inside the transaction that moves the jobs to the history, once for each call of a verb, after all
    that the verb writes itself, with the jobs in the order of their ids. What it writes with `broker` is committed
    with their results, or not at all; an error that it raises undoes the verb, and reaches the verb's caller.

    It is not called for jobs that stay in the live table: to run again, set aside, or only asked to stop. A job that
    was requeued ends again.
    """

    def __call__(self, broker: "Broker", ended: Sequence[Ended]) -> object:
        """Do what follows from that these jobs have ended; there is at least one."""


class EndedVerbs(Verbs):
    """What the verbs that end jobs call."""

    # Each is called, in this order. A broker may have its own; those of the class are heard by every broker.
    ended_listeners: tuple[EndedListener, ...] = ()

    def _ended(self, job_ids: Iterable[str], *, ran: bool) -> None:
        """Tell the listeners, if there are any, that these jobs have left the live table in this transaction.

        ran: whether they were RUNNING.
        """
        if not self.ended_listeners:
            return
        ended = list(self._read_ended(sorted(job_ids), ran=ran))
        if ended:
            for listener in self.ended_listeners:
                listener(cast("Broker", self), ended)

    def _read_ended(self, job_ids: Sequence[str], *, ran: bool) -> Iterator[Ended]:
        keys = list(map(self.dialect.to_key, job_ids))
        with self.connection.cursor() as cursor:
            for start in range(0, len(keys), MOST_KEYS):
                batch = keys[start : start + MOST_KEYS]
                cursor.execute(
                    f"SELECT id, queue_name, task_path, status FROM {RESULT}{self.dialect.by_key}"
                    f" WHERE id IN ({placeholders(batch)}) ORDER BY id",
                    batch,
                )
                for key, queue_name, task_path, status in cursor.fetchall():
                    yield Ended(self.dialect.from_key(key), queue_name, task_path, status, ran)
