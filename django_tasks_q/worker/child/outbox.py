"""What a run tells the supervisor before it ends."""

from socket import socket

from ...brokers.dialects.base import Dialect
from ..wire.begun import BegunMark
from ..wire.frames import Limit, LogNote, ProgressNote, encode_begin, encode_limit, encode_logs, encode_progress
from ..wire.tokens import TokenPipe

__all__ = ["ChannelOutbox", "Outbox"]


class Outbox:
    """Takes what a run has to say; this one keeps nothing, for a run that nobody supervises.

    Progress and lines may come from any thread.
    """

    def begin(self, seq: int, *, displaced: bool, atomic: bool) -> None:
        """Say that the task of this job begins now; if it is displaced, wait until it may."""

    def limit(self, limit: Limit) -> None:
        """Say that the job that begins has a hard time limit."""

    def progress(self, note: ProgressNote) -> None:
        """Take a note of how far the task is."""

    def logs(self, note: LogNote) -> None:
        """Take lines that the task has logged."""


class ChannelOutbox(Outbox):
    """Sends it to the supervisor. A note is small, so that it goes through the socket in one piece.

    begun: where to write which job has begun. dialect: asked when an atomic task begins, and not before: a child
    whose tasks need no database opens no connection.
    """

    def __init__(self, channel: socket, tokens: TokenPipe, begun: BegunMark, dialect: Dialect) -> None:
        self._channel = channel
        self._tokens = tokens
        self._begun = begun
        self._dialect = dialect

    def begin(self, seq: int, *, displaced: bool, atomic: bool) -> None:
        if displaced:
            # It waits until its start is recorded in the database.
            self._channel.sendall(encode_begin(seq))
            if self._tokens.take() != seq:
                raise ConnectionResetError("The supervisor is gone.")
        if not (atomic and self._dialect.repeats_reads):
            # Or recording the start would keep the task's transaction from recording its end.
            self._begun.set(seq)

    def limit(self, limit: Limit) -> None:
        self._channel.sendall(encode_limit(limit))

    def progress(self, note: ProgressNote) -> None:
        self._channel.sendall(encode_progress(note))

    def logs(self, note: LogNote) -> None:
        self._channel.sendall(encode_logs(note))
