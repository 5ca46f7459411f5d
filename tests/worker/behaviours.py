"""What hostile tasks do, and what happens to them: tested on real workers, and shown in the documentation."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django_tasks_q import Task
from tests import tasks as usual

from . import hostile, log_tasks, tasks

__all__ = ["APART", "LEAVING", "UNHARMED", "Behaviour", "table"]

UNTOUCHED = "Continues."
REPLACED = "Replaced."


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One kind of misbehaviour.

    title: completes "A task that …". note: what happens to the process, if that is unusual.
    status, attempt, failures, losses: the result's. says: its reason or its errors contain one of these.
    replaced: whether the next job has another process.
    """

    title: str
    task: Task
    args: Sequence[Any] = ()
    status: str = "SUCCESSFUL"
    attempt: int = 1
    failures: int = 0
    losses: int = 0
    says: Sequence[str] = ()
    returns: Any = None
    replaced: bool = False
    note: str = ""

    @property
    def outcome(self) -> str:
        """How the job ends, in words."""
        ended = f"{self.status}, lost {self.losses} times" if self.losses else self.status
        return f"{ended}: {' or '.join(f'“{text}”' for text in self.says)}" if self.says else ended

    @property
    def process(self) -> str:
        return f"{REPLACED if self.replaced else UNTOUCHED} {self.note}".strip()


def _fails(title: str, task: Task, *args: Any, says: Sequence[str], **more: Any) -> Behaviour:
    return Behaviour(title, task, args, "FAILED", failures=1, says=says, **more)


def _is_lost(title: str, task: Task, *args: Any, says: Sequence[str], note: str = "") -> Behaviour:
    """Lost max_losses times, each time with its process."""
    return Behaviour(title, task, args, "FAILED", attempt=3, losses=3, says=says, replaced=True, note=note)


def _times_out(title: str, task: Task, *args: Any) -> Behaviour:
    return _fails(title, task, *args, says=("longer than its timeout",), replaced=True)


SHORT: dict[str, Any] = {"timeout": 0.3}
# Each is followed by an ordinary job on the same worker, which finds everything as it was.
UNHARMED = [
    # the end of the process
    _is_lost("calls `os._exit(n)`", usual.exit_process, 3, says=("exited with code 3",)),
    _is_lost("calls `os._exit(0)`", usual.exit_process, 0, says=("exited with code 0",)),
    _is_lost("is killed by a signal", usual.kill_process, 9, says=("killed by SIGKILL, probably",)),
    _is_lost("crashes in C code", hostile.touch_null_pointer, says=("killed by SIGSEGV",)),
    _is_lost(
        "becomes another program: `os.exec*()`",
        hostile.execute,
        "sh",
        "-c",
        "exit 4",
        says=("exited with code 4",),
        note="The job lasts as long as the program does.",
    ),
    _is_lost(
        "makes itself a daemon",
        hostile.daemonise,
        says=("exited with code 0",),
        note="Each run starts another daemon, which outlives the worker.",
    ),
    _is_lost(
        "kills its parent, the fork server",
        hostile.signal_parent,
        signal.SIGKILL,
        says=("died with the fork server",),
        note="So are all other children of this worker. Their jobs are lost too and run again.",
    ),
    _is_lost("kills its process group", hostile.signal_group, signal.SIGKILL, says=("killed by SIGKILL",)),
    Behaviour("sends SIGTERM to its parent", hostile.signal_parent, [signal.SIGTERM]),
    Behaviour("sends SIGTERM to its process group", hostile.signal_group, [signal.SIGTERM]),
    _times_out("stops itself with SIGSTOP, under a `timeout`", hostile.stop_itself.using(**SHORT)),
    # exceptions that are not errors
    _fails("calls `sys.exit(n)`", hostile.call_sys_exit, 3, says=("builtins.SystemExit",)),
    _fails("calls `sys.exit()`", hostile.call_sys_exit, None, says=("builtins.SystemExit",)),
    _fails("raises KeyboardInterrupt", tasks.raise_error, "KeyboardInterrupt", says=("builtins.KeyboardInterrupt",)),
    _fails("raises GeneratorExit", hostile.raise_generator_exit, says=("builtins.GeneratorExit",)),
    _fails("raises a BaseException of its own", tasks.raise_error, "OddError", says=("OddError",)),
    # forks
    Behaviour("forks, and returns in both processes", hostile.fork_and_return, [False], returns=0),
    Behaviour("forks in a coroutine, and returns in both processes", hostile.fork_and_return_async, returns=0),
    Behaviour(
        "forks with `atomic=True`, and returns in both", hostile.fork_and_return_atomically, ["committed"], returns=0
    ),
    Behaviour("forks, and raises in the fork", hostile.fork_and_return, [True], returns=1),
    Behaviour("forks, and calls `sys.exit(n)` in the fork", hostile.fork_and_exit, [5], returns=5),
    Behaviour(
        "forks, and the fork outlives the task",
        hostile.leave_fork,
        [0.3],
        note="The fork exits when it returns from the task; killing the process kills it too.",
    ),
    # connections and descriptors
    Behaviour("closes its connection to the database", tasks.close_connection),
    Behaviour("closes all connections", hostile.close_all_connections),
    Behaviour("closes the driver's connection", tasks.close_socket),
    _fails(
        "has its connection killed by the server",
        hostile.kill_own_backend,
        says=("OperationalError", "ProgrammingError"),
    ),
    Behaviour(
        "leaves a transaction open: `atomic().__enter__()`",
        tasks.leave_transaction_open,
        note="The transaction is rolled back.",
    ),
    Behaviour(
        "leaves a transaction open: a bare `BEGIN`", tasks.begin_by_hand, note="The transaction is rolled back."
    ),
    Behaviour("leaves autocommit off", tasks.leave_autocommit_off, note="The transaction is rolled back."),
    _fails("leaves a broken transaction", tasks.break_transaction, says=("OperationalError", "ProgrammingError")),
    _is_lost(
        "closes all files, including its process's sockets", hostile.close_descriptors, 3, says=("exited with code 1",)
    ),
    _is_lost("closes all files and the streams", hostile.close_descriptors, 0, says=("exited with code 1",)),
    _is_lost("writes into its process's sockets", hostile.write_into_sockets, says=("wrote into its connection",)),
    Behaviour("reads standard input", hostile.read_stdin, returns="", note="It reads the worker's standard input."),
    Behaviour("replaces `sys.stdout` and the other streams", hostile.replace_streams),
    Behaviour("closes `sys.stdout`", hostile.close_stream, ["stdout"], replaced=True),
    Behaviour("closes `sys.stderr`", hostile.close_stream, ["stderr"], replaced=True),
    Behaviour("closes descriptor 1", hostile.close_output, [1], replaced=True),
    Behaviour("writes megabytes to stdout and stderr", tasks.print_much, [2]),
    Behaviour(
        "logs megabytes, and objects that cannot be printed",
        log_tasks.be_hostile,
        note="The first and last lines are kept.",
    ),
    Behaviour(
        "reconfigures `logging`",
        log_tasks.set_up_logging,
        note="Its lines are not captured after that; those of the next task are.",
    ),
    # what belongs to the process
    Behaviour("activates a language or a time zone", tasks.change_surroundings),
    Behaviour("ignores, blocks or handles signals", hostile.change_signals),
    Behaviour("leaves an alarm set", tasks.set_alarm),
    Behaviour("sets the recursion limit", hostile.lower_recursion_limit),
    Behaviour("removes modules from `sys.modules`", hostile.forget_modules),
    Behaviour("leaves asyncio tasks behind", hostile.leave_async_task, note="They are cancelled."),
    # time
    _times_out("stays in C code, under a `timeout`", usual.overrun_in_c.using(**SHORT), 60),
    _times_out("swallows the soft timeout, under a `timeout`", hostile.swallow_everything),
    _times_out("swallows all errors, under a `timeout`", hostile.ignore_soft_timeout_for_ever.using(**SHORT), "x"),
    # errors and return values
    _fails("recurses endlessly", hostile.exhaust_recursion, says=("builtins.RecursionError",)),
    _fails("raises an error that cannot be printed", hostile.raise_hostile, "silent", says=("SilentError",)),
    _fails("raises an error of ten megabytes", hostile.raise_hostile, "huge", says=("characters left out",)),
    _fails("raises an exception group", hostile.raise_hostile, "group", says=("BaseExceptionGroup",)),
    _fails("raises a chain of hundreds of errors", hostile.raise_hostile, "chain", says=("characters left out",)),
    _fails("raises an error that is its own cause", hostile.raise_hostile, "endless", says=("EndlessError: endless",)),
    _fails("returns a value that is not JSON", hostile.return_hostile, "set", says=("UnserializableError",)),
    _fails("returns NaN", hostile.return_hostile, "nan", says=("UnserializableError",)),
    _fails("returns text that is not Unicode", hostile.return_hostile, "surrogate", says=("UnserializableError",)),
    _fails("returns too large a value", hostile.return_hostile, "large", says=("PayloadTooLarge",)),
    _fails("returns lists nested 10,000 deep", hostile.return_hostile, "deep", says=("UnserializableError",)),
    _fails(
        "returns an object that raises when inspected",
        hostile.return_hostile,
        "masked",
        says=("UnserializableError",),
    ),
]

# What such a job changes is still changed for the next one, until the process is replaced.
LEAVING = Behaviour(
    "changes `os.environ`, the directory, the umask, the locale, `logging.disable()`, the default timeout of sockets "
    "or global variables, or leaves threads behind",
    hostile.change_process,
    note="The changes remain for the next jobs, until the process is replaced: see `--max-tasks-per-child`.",
)

# Each has a test of its own.
APART = {
    "flood": Behaviour("writes 100 MB to stdout and to stderr", tasks.print_much, [200]),
    "large": _is_lost(
        "uses more than `--max-memory-per-child`", usual.use_memory, 300, says=("--max-memory-per-child is 200 MiB",)
    ),
    "memory": _fails(
        "exhausts the memory, under a limit on the process", hostile.exhaust_memory, says=("builtins.MemoryError",)
    ),
    "endless": Behaviour(
        "swallows all errors and never ends, without a `timeout`",
        hostile.ignore_soft_timeout_for_ever,
        ["begun"],
        "RUNNING until the worker stops, then READY",
        attempt=0,
        note="It is unavailable to other jobs until then: set a `timeout`.",
    ),
}


def table() -> str:
    """Return the table of the documentation."""
    everything = [*UNHARMED, LEAVING, *APART.values()]
    lines = [f"| {item.title} | {item.outcome} | {item.process} |" for item in everything]
    return "\n".join(["| A task that … | Its job | Its process |", "|---|---|---|", *lines])
