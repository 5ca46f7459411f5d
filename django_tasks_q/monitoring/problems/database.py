"""The database: a forgotten transaction keeps it from cleaning up."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from ..formatting import duration_text
from .base import Severity, Situation, Subject, Trouble

__all__ = ["pinned_snapshot"]

# Seconds.
OLDEST_SNAPSHOT = 300.0


def pinned_snapshot(situation: Situation) -> Iterator[Trouble]:
    oldest = situation.broker.dialect.oldest_snapshot()
    if oldest is not None and oldest.seconds > OLDEST_SNAPSHOT:
        yield Trouble(
            "pinned_snapshot",
            Severity.WARNING,
            Subject.QUEUE,
            _("Session %(session)s of %(user)s has kept a transaction open for %(time)s: vacuum cannot clean up.")
            % {"session": oldest.session, "user": oldest.user, "time": duration_text(oldest.seconds)},
            _("End the transaction where it was started; if it was forgotten, terminate its session in the database."),
            f"SELECT pg_terminate_backend({oldest.session})",
        )
