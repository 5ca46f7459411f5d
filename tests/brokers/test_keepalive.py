"""A network that goes silent: the connection of a supervisor breaks, as an idle one of anybody else does not."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.keepalive import set_keepalive

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(sys.platform != "linux", reason="about options of Linux"),
]


@contextmanager
def line_of(descriptor: int) -> Iterator[socket.socket]:
    with socket.socket(fileno=os.dup(descriptor)) as line:
        yield line


@pytest.fixture
def line() -> Iterator[socket.socket]:
    """A connection over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as line:
        yield line


def limits(line: socket.socket) -> tuple[int, int, int, int, int]:
    return (
        line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
        line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
        line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
    )


@pytest.mark.only_on("postgresql", "mysql")
def test_a_supervisors_session_has_it() -> None:
    connection.ensure_connection()
    raw = connection.connection
    with line_of(getattr(raw, "_sock", raw).fileno()) as line:
        get_broker("default").dialect.prepare_session()
        if line.family != socket.AF_UNIX:
            assert limits(line) == (1, 4, 4, 3, 15_000)
    # It is not kept: other tests, and Django, use the connection too.
    connection.close()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(15.0, (1, 4, 4, 3, 15_000)), (1.1, (1, 1, 1, 3, 1_100)), (1e9, (1, 32_767, 32_767, 3, 2_000_000_000))],
)
def test_the_limits_follow_the_time(line: socket.socket, seconds: float, expected: tuple[int, ...]) -> None:
    set_keepalive(line.fileno(), seconds)
    assert limits(line) == expected
    line.send(b"It is still open.")


def test_who_has_set_a_limit_is_obeyed(line: socket.socket) -> None:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
    before = limits(line)
    set_keepalive(line.fileno(), 15.0)
    assert limits(line) == before


def test_what_is_not_tcp_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        set_keepalive(ours.fileno(), 15.0)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
