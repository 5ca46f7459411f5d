"""Why a statement failed: the reaction depends on that."""

import re
from collections.abc import Callable, Container
from enum import Enum, auto
from typing import Any

from django.db import DataError, InterfaceError, InternalError, OperationalError

__all__ = ["UNREADABLE", "Failure", "is_misconfigured", "of_mysql", "of_postgresql", "of_sqlite"]


class Failure(Enum):
    """GONE: the connection, or the server, is unusable: connect again later.

    LOCKED: a lock or a statement's time limit, or a conflict that a retry solves: the connection is fine.
    TOO_LARGE: the statement or a value is larger than the server accepts: it may be accepted in parts.
    REFUSED: the server understood the statement and refused it: a constraint, a bad value, a missing column.
    """

    GONE = auto()
    LOCKED = auto()
    TOO_LARGE = auto()
    REFUSED = auto()


# Raised for a row that the server or the driver cannot read: it is damaged, or a timestamp is beyond datetime's range.
UNREADABLE = (ValueError, TypeError, AttributeError, DataError, InternalError)
# For errors with unknown codes: drivers raise these when a connection breaks.
BROKEN = (OperationalError, InterfaceError, InternalError)

# https://www.postgresql.org/docs/current/errcodes-appendix.html
# lock_not_available, query_canceled (statement_timeout), deadlock_detected, serialization_failure
PG_LOCKED = {"55P03", "57014", "40P01", "40001"}
# Connections, resources, read-only transactions (a server that is no longer the primary), shutdowns, I/O, and the
# error of a session that was idle in a transaction for too long.
PG_GONE = ("08", "25006", "25P03", "28", "3D", "53", "57P", "58")
PG_TOO_LARGE = ("54",)

# https://mariadb.com/kb/en/mariadb-error-codes/ and https://dev.mysql.com/doc/mysql-errors/8.0/en/
# Lock wait timeout, deadlock, changed since it was read, interrupted, max_statement_time, max_execution_time, NOWAIT
MYSQL_LOCKED = {1205, 1213, 1020, 1317, 1969, 3024, 3572}
# Packet larger than max_allowed_packet, row too large, result larger than max_allowed_packet
MYSQL_TOO_LARGE = {1153, 1118, 1301}
# Errors of a server that is unusable, or temporarily so: disk and memory, connections, shutdown, network, permission
# to connect, read-only, a cluster that is not ready. Client errors are those from 2000 on, and those below 1000.
MYSQL_GONE = {
    1021, 1037, 1040, 1041, 1043, 1044, 1045, 1047, 1049, 1053, 1077, 1078, 1079, 1129, 1130, 1135, 1152, 1158, 1159,
    1160, 1161, 1184, 1203, 1226, 1290, 1836, 1927, 3168, 4031,
}  # fmt: skip

# https://www.sqlite.org/rescode.html, the primary codes: BUSY, LOCKED, INTERRUPT; TOOBIG; the rest of the disk.
SQLITE_LOCKED = {5, 6, 9}
SQLITE_TOO_LARGE = {18}
SQLITE_GONE = {7, 8, 10, 11, 13, 14, 26}


# What a server says that is there and will not have us, or a driver that finds no file: waiting does not help. Where a
# connection fails psycopg has no code, only these words.
MISCONFIGURED = re.compile(
    r'(database|role) "[^"]*" does not exist|no such database|authentication failed|no pg_hba\.conf entry'
    r"|no password supplied|Access denied|Unknown database|unable to open database file"
)


def is_misconfigured(error: BaseException) -> bool:
    """Return whether the settings of the connection are wrong, as far as the error says so."""
    return MISCONFIGURED.search(str(error)) is not None


def of_postgresql(error: BaseException) -> Failure:
    cause = error.__cause__ or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if not state:
        return _unknown(error)
    if state in PG_LOCKED:
        return Failure.LOCKED
    if state.startswith(PG_TOO_LARGE):
        return Failure.TOO_LARGE
    return Failure.GONE if state.startswith(PG_GONE) else Failure.REFUSED


def of_mysql(error: BaseException) -> Failure:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    return _by_code(error, code, MYSQL_LOCKED, MYSQL_TOO_LARGE, lambda code: not _is_gone(code))


def _is_gone(code: int) -> bool:
    return code in MYSQL_GONE or code < 1_000 or 2_000 <= code < 2_100


def of_sqlite(error: BaseException) -> Failure:
    extended = getattr(error.__cause__ or error, "sqlite_errorcode", None)
    code = None if extended is None else extended & 0xFF
    return _by_code(error, code, SQLITE_LOCKED, SQLITE_TOO_LARGE, lambda code: code not in SQLITE_GONE)


def _by_code(
    error: BaseException,
    code: int | None,
    locked: Container[int],
    too_large: Container[int],
    is_refused: Callable[[Any], bool],
) -> Failure:
    if code is None:
        return _unknown(error)
    if code in locked:
        return Failure.LOCKED
    if code in too_large:
        return Failure.TOO_LARGE
    return Failure.REFUSED if is_refused(code) else _unknown(error)


def _unknown(error: BaseException) -> Failure:
    return Failure.GONE if isinstance(error, BROKEN) else Failure.REFUSED
