"""One process for each peer that enqueues and counts for it, so that Django's start is never measured.

`python -m tests.benchmarks.driver` reads {"verb": ..., "arguments": [...]} from stdin, a line each, and answers on
stdout with {"value": ..., "began": ns, "ended": ns, "cpu": s} or {"error": ...}. The verbs are those of Verbs.
"""

import json
import os
import sys
import time
import traceback
from typing import Any

import django
from django.core.management import call_command

from .peers import PEERS, Peer

__all__ = ["main"]

OFFERS_A_SECOND = 10
# Those of a peer.
VERBS = ("clear", "enqueue", "enqueue_bulk", "enqueue_one", "enqueue_text", "enqueue_sleep", "fill", "stored")


class Verbs:
    """What a peer can be asked for."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        for name in VERBS:
            setattr(self, name, getattr(peer, name))

    def migrate(self) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        self.peer.prepare()

    def offer(self, rate: int, seconds: float) -> list[tuple[int, int]]:
        """Enqueue so many jobs a second, in ten batches a second; return when each was there (ns) and its size.

        What could not be offered in time, because an enqueue took long, is offered as soon as it can be.
        """
        enqueue = self.peer.enqueue_bulk if self.peer.has_bulk else self.peer.enqueue
        began, total, offered = time.monotonic(), int(rate * seconds), 0
        batches = []
        while offered < total:
            count = min(total, int(rate * (time.monotonic() - began + 1 / OFFERS_A_SECOND))) - offered
            if count > 0:
                enqueue(count)
                offered += count
                batches.append((time.monotonic_ns(), count))
            time.sleep(max(0.0, began + offered / rate - time.monotonic()))
        return batches


def main() -> None:
    # Whatever a peer prints goes to the log.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    django.setup()
    verbs = Verbs(PEERS[os.environ["BENCH_PEER"]])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _run(getattr(verbs, request["verb"]), request["arguments"])
        except Exception:  # The harness tells it, and may ask for something else.
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")


def _run(verb: Any, arguments: list[Any]) -> dict[str, Any]:
    cpu, began = time.process_time(), time.monotonic_ns()
    value = verb(*arguments)
    ended = time.monotonic_ns()
    return {"value": value, "began": began, "ended": ended, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    main()
