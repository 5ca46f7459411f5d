"""What becomes of a connection whose other end has vanished without a word."""

import os
import socket

__all__ = ["end_silence"]

# Seconds that the kernel takes, for each of these.
LONGEST_KEEPALIVE, LONGEST_TIMEOUT = 32_767, 2_000_000
PROBES = 3


def end_silence(descriptor: int, seconds: float) -> None:
    """Have a TCP connection break where nothing has come back for so many seconds.

    By itself it takes a quarter of an hour to do so where something was sent, and hours where an answer is awaited
    (tcp(7): tcp_retries2, tcp_keepalive_time). Who has set tcp_user_timeout for the connection is obeyed. The
    descriptor stays open; whatever is not TCP, or that this system does not know, stays as it is.
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
