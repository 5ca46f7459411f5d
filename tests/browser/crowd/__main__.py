"""Look at the pages of the admin on large tables, and do what an operator does: see CONTRIBUTING.md.

It needs PostgreSQL, Chromium and npm. The end is 1 where a page takes the server more than a second, complains, or is
not accessible.
"""

import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ... import servers

ROOT = Path(__file__).parents[3]
RESULTS, JOBS = 1_000_000, 200_000


def parser() -> ArgumentParser:
    parser = ArgumentParser("python -m tests.browser.crowd", description="Look at the admin on large tables.")
    parser.add_argument("--results", type=int, default=RESULTS, help="Rows of the history (%(default)s).")
    parser.add_argument("--jobs", type=int, default=JOBS, help="Live jobs (%(default)s).")
    parser.add_argument("--keep", action="store_true", help="Keep the database, and use the one that was kept.")
    parser.add_argument("--only", default="", metavar="TEXT", help="Only pages whose name in the report has it.")
    parser.add_argument("--output", type=Path, default=Path("build/crowd"), help="A folder (%(default)s).")
    parser.add_argument("--database", default="tasksq_crowd", metavar="NAME", help="Its name (%(default)s).")
    return parser


def main(given: Namespace) -> int:
    # As Ctrl-C does: the processes are stopped and the database dropped on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    given.output.mkdir(parents=True, exist_ok=True)
    sys.path.append(str(ROOT / "testproject"))
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.browser.crowd.settings",
        "CROWD_OUTPUT": str(given.output.resolve()),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "testproject")]),
        # Playwright keeps an event loop in this thread, where Django would refuse a query for it.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",
    }
    # Models cannot be imported before.
    from .run import run  # noqa: PLC0415

    return run(given)


if __name__ == "__main__":
    try:
        sys.exit(main(parser().parse_args()))
    except servers.MissingService as missing:
        sys.exit(str(missing))
