"""What the machine does without a database: a write that reaches the disk, a message to a child and back."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from .bench import Bench, Operation

__all__ = ["fsync", "pipe"]

# Bytes. PostgreSQL writes its WAL as pages, one after the other, into a file that has its full size already.
PAGE, FILE = 8_192, 16 * 1_048_576
# Bytes of a message with its line feed.
MESSAGE = 300
# Reads each line as JSON and sends it back; what came together goes back together.
CHILD = """
import json, socket, sys
parent, rest = socket.socket(fileno=int(sys.argv[1])), b""
while data := parent.recv(262_144):
    *lines, rest = (rest + data).split(b"\\n")
    for line in lines:
        json.loads(line)
    parent.sendall(b"".join(line + b"\\n" for line in lines))
"""


def fsync(bench: Bench) -> Sequence[Operation]:
    """Write a page over what is there, and wait until it is on the disk."""
    file = bench.closing.enter_context(tempfile.TemporaryFile(dir=_directory(bench), buffering=0))  # noqa: SIM115
    file.write(bytes(FILE))
    os.fsync(file.fileno())
    page, position = os.urandom(PAGE), 0

    def write() -> int:
        nonlocal position
        os.pwrite(file.fileno(), page, position)
        os.fdatasync(file.fileno())
        position = (position + PAGE) % FILE
        return 1

    return [write]


def _directory(bench: Bench) -> Path:
    """Return a place on the disk that holds the database, or else the temporary directory."""
    with psycopg.connect(bench.tables.url) as connection:
        ((data,),) = connection.execute("SHOW data_directory").fetchall()
    above = Path(data).parent
    return above if os.access(above, os.W_OK) else Path(tempfile.gettempdir())


def pipe(batch: int) -> Callable[[Bench], Sequence[Operation]]:
    """Return the measurement of messages to a child and back, so many at once."""

    def prepare(bench: Bench) -> Sequence[Operation]:
        child = _start_child(bench)
        messages = _message() * batch

        def send_and_receive() -> int:
            child.sendall(messages)
            missing = len(messages)
            while missing:
                missing -= len(child.recv(missing))
            return batch

        return [send_and_receive]

    return prepare


def _start_child(bench: Bench) -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-c", CHILD, str(theirs.fileno())]
        process = bench.closing.enter_context(subprocess.Popen(command, pass_fds=[theirs.fileno()]))
    # Closed first: its end is what the child waits for.
    bench.closing.enter_context(ours)
    bench.count_child(process.pid)
    return ours


def _message() -> bytes:
    """Return a job as one line of JSON."""
    job = {"id": "0193a5f0-0000-7000-8000-000000000000", "task": "shop.tasks.send_receipt", "attempt": 1}
    filled = {**job, "args": ["x" * (MESSAGE - len(json.dumps({**job, "args": [""]})) - 1)]}
    return json.dumps(filled).encode() + b"\n"
