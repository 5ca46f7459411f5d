"""Synchronises the rows with what the code and the settings declare.

An operator's rows are left unchanged, and so is an operator's pause of any other. A schedule that is no longer
declared is disabled first, and deleted by a later synchronisation, because that deletes the record of its runs too.

In a deploy the old release and the new one run side by side, and one of the old may start again. So a worker changes
nothing that has just come out of what it declares itself; only `migrate`, and an operator, put older definitions back.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.db.models import Q
from django.utils.translation import gettext as _

from ..brokers.base import Broker
from ..lifecycle import ScheduleOrigin
from ..models import Schedule
from ..moments import to_aware
from ..notifiers import notify
from . import store
from .declaring import Declaration
from .definitions import Definition

__all__ = ["REMOVED", "Synchronised", "synchronise"]

logger = logging.getLogger("django_tasks_q")
# A row's declaration when there is none any more.
REMOVED = "removed"
# Names of each kind that a log message has at most.
MOST_NAMES = 20
# How long a worker leaves changes to newer workers, and how long removed rows stay.
DEPLOY = timedelta(hours=1)
KEEP_REMOVED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Synchronised:
    """The names of the schedules that were added, changed, removed, and left because a newer release has them."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what was done, in words: added a, b; removed c. Return an empty text if nothing was."""
        done = {"added": self.added, "changed": self.changed, "removed": self.removed}
        return "; ".join(f"{verb} {_listed(names)}" for verb, names in done.items() if names)


def synchronise(
    broker: Broker,
    declared: Iterable[Declaration],
    *,
    complete: bool = True,
    decisive: bool = False,
    level: int = logging.INFO,
) -> Synchronised:
    """Make the rows of a backend what is declared, in one transaction, and return what was done.

    complete: False if some modules could not be imported, or something they declare is wrong: nothing is removed.
    decisive: whether what has just replaced this very declaration is put back.
    level: of the log message about what was done.
    """
    work = _Synchronisation(broker, decisive)
    with broker.transaction():
        wanted = {declaration.definition.name: declaration for declaration in declared}
        rows = _lock(broker, wanted)
        now = to_aware(broker.dialect.now())
        for name, declaration in sorted(wanted.items()):
            work.declare(declaration, rows.pop(name, None), now)
        for row in rows.values():
            if complete and row.origin != ScheduleOrigin.ADMIN:
                work.remove(row, now)
        done = work.done()
        if str(done):
            notify(broker.alias, broker.using)
    if str(done):
        logger.log(level, "Schedules: %s.", done)
    return done


class _Synchronisation:
    def __init__(self, broker: Broker, decisive: bool) -> None:
        self.broker = broker
        self.decisive = decisive
        self.added: list[str] = []
        self.changed: list[str] = []
        self.removed: list[str] = []
        self.left: list[str] = []

    def done(self) -> Synchronised:
        return Synchronised(tuple(self.added), tuple(self.changed), tuple(self.removed), tuple(self.left))

    def declare(self, declaration: Declaration, row: Schedule | None, now: datetime) -> None:
        definition, fingerprint = declaration.definition, declaration.definition.fingerprint
        if row is None:
            self._add(declaration)
        elif row.origin == ScheduleOrigin.ADMIN:
            logger.error("The schedule %r of %s has the name of an operator's.", row.name, declaration.origin)
        elif row.declaration != fingerprint and self._is_newer(row, fingerprint, now):
            self._leave(row)
        elif row.declaration != fingerprint or row.enabled != definition.enabled or row.origin != declaration.origin:
            self._change(row, definition, fingerprint, declaration.origin)
            self.changed.append(row.name)

    def _add(self, declaration: Declaration) -> None:
        definition = declaration.definition
        try:
            with self.broker.transaction():
                store.add(self.broker, definition, origin=declaration.origin, declaration=definition.fingerprint)
        except IntegrityError:
            # Another worker, started at the same time, has been quicker.
            self.left.append(definition.name)
        else:
            self.added.append(definition.name)

    def remove(self, row: Schedule, now: datetime) -> None:
        age = now - to_aware(row.updated_at)
        if row.declaration == REMOVED:
            if age > KEEP_REMOVED:
                store.delete(self.broker, row)
        elif not self.decisive and age < DEPLOY:
            self._leave(row)
        else:
            gone = replace(Definition.of_row(row), enabled=False)
            self._change(row, gone, REMOVED, row.origin, reason=_("It is not declared any more."))
            self.removed.append(row.name)

    def _change(self, row: Schedule, definition: Definition, fingerprint: str, origin: str, **columns: str) -> None:
        former = row.declaration if row.declaration != fingerprint else row.former_declaration
        store.change(
            self.broker, row, definition, declaration=fingerprint, former_declaration=former, origin=origin, **columns
        )

    def _is_newer(self, row: Schedule, fingerprint: str, now: datetime) -> bool:
        """Return whether the row has just got the schedule that replaces this very declaration."""
        recent = now - to_aware(row.updated_at) < DEPLOY
        return recent and row.former_declaration == fingerprint and not self.decisive

    def _leave(self, row: Schedule) -> None:
        self.left.append(row.name)
        logger.warning(
            "The schedule %r has been changed by another release, at %s; this worker leaves it so. "
            'Run "manage.py tasks schedules sync" where this is the release that counts.',
            row.name,
            row.updated_at,
        )


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _lock(broker: Broker, names: Iterable[str]) -> dict[str, Schedule]:
    """Return, locked, the rows of these names, and all that were declared before."""
    concerned = Q(name__in=list(names)) | ~Q(origin=ScheduleOrigin.ADMIN)
    rows = Schedule.objects.using(broker.using).filter(concerned, backend=broker.alias).order_by("id")
    return {row.name: row for row in rows.select_for_update()}
