"""What is done to a worker from within: Python imports this at its start, from PYTHONPATH.

CHAOS_METER: a file for the numbers of what the supervisor sends over its sockets to its children; see
tests/chaos/meters.py. CHAOS_PIPES: bytes that its pipes hold, as where a user has many of them, or on macOS.
"""

import fcntl
import mmap
import os
import re
import socket
import struct
import sys
from typing import Any

MARK = re.compile(rb"<<chaos (\S+) (\d+)>>")
LONGEST_MARK = 80
LAYOUT = struct.Struct("<QQQQ")


class Meter:
    """Sends of this process alone: a child that was forked off has the same file, and leaves it as it is."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, LAYOUT.size)
        # What is written there stays, also where the process is killed.
        self.file = mmap.mmap(descriptor, LAYOUT.size)
        os.close(descriptor)
        self.pid = os.getpid()
        self.total = self.sends = self.marked = self.distinct = 0
        self.seen: set[bytes] = set()
        # The end of what went through each socket: a mark may lie across two sends.
        self.tails: dict[int, bytes] = {}

    def note(self, channel: socket.socket, data: Any, count: int) -> None:
        if os.getpid() != self.pid or channel.family != socket.AF_UNIX:
            return
        self.total += count
        self.sends += 1
        self._find_marks(channel.fileno(), bytes(memoryview(data)[:count]))
        LAYOUT.pack_into(self.file, 0, self.total, self.sends, self.marked, self.distinct)

    def _find_marks(self, channel: int, data: bytes) -> None:
        tail = self.tails.get(channel, b"")
        text = tail + data
        for found in MARK.finditer(text):
            if found.end() <= len(tail):
                continue
            self.marked += int(found[2])
            if found[1] not in self.seen:
                self.seen.add(found[1])
                self.distinct += int(found[2])
        self.tails[channel] = text[-LONGEST_MARK:]


def install(meter: Meter) -> None:
    send, sendall, sendmsg = socket.socket.send, socket.socket.sendall, socket.socket.sendmsg

    def metered_send(self: socket.socket, data: Any, *flags: int) -> int:
        count = send(self, data, *flags)
        meter.note(self, data, count)
        return count

    def metered_sendall(self: socket.socket, data: Any, *flags: int) -> None:
        sendall(self, data, *flags)
        meter.note(self, data, len(memoryview(data).cast("B")))

    def metered_sendmsg(self: socket.socket, buffers: Any, *rest: Any) -> int:
        count = sendmsg(self, buffers, *rest)
        meter.note(self, b"".join(buffers), count)
        return count

    socket.socket.sendmsg = metered_sendmsg  # type: ignore[method-assign,assignment]
    socket.socket.send = metered_send  # type: ignore[method-assign,assignment]
    socket.socket.sendall = metered_sendall  # type: ignore[method-assign,assignment]


def shrink_pipes(size: int) -> None:
    make = os.pipe

    def small_pipe() -> tuple[int, int]:
        ends = make()
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, size)
        return ends

    os.pipe = small_pipe


# Not sys.argv, which is not there yet.
if os.environ.get("CHAOS_METER") and "taskworker" in sys.orig_argv:
    install(Meter(os.environ["CHAOS_METER"]))
    if os.environ.get("CHAOS_PIPES"):
        shrink_pipes(int(os.environ["CHAOS_PIPES"]))
