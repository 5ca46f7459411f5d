"""TCP keepalive: how a connection ends if the other end has vanished silently."""

import os
import socket

__all__ = ["set_keepalive"]

# The most seconds that the kernel accepts for each of these.
LONGEST_KEEPALIVE, LONGEST_TIMEOUT = 32_767, 2_000_000
PROBES = 3


def set_keepalive(descriptor: int, seconds: float) -> None:
    """Have a TCP connection break if nothing has come back for this many seconds.

    By default it takes a quarter of an hour if something was sent, and hours while it waits for an answer (tcp(7):
    tcp_retries2, tcp_keepalive_time). A tcp_user_timeout that is already set for the connection is kept. The
    descriptor stays open; sockets other than TCP, and options that this system does not know, are left unchanged.
    """
    with socket.socket(fileno=os.dup(descriptor)) as line:
        if line.family not in (socket.AF_INET, socket.AF_INET6) or _is_set(line):
            return
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        each = min(max(1, round(seconds / (PROBES + 1))), LONGEST_KEEPALIVE)
        for name, value in (
            ("TCP_KEEPIDLE", each),
            ("TCP_KEEPINTVL", each),
            ("TCP_KEEPCNT", PROBES),
            ("TCP_USER_TIMEOUT", round(min(seconds, LONGEST_TIMEOUT) * 1_000)),
        ):
            if hasattr(socket, name):
                line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _is_set(line: socket.socket) -> bool:
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return False
    return bool(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
