"""The worker, by process.

The supervisor is what stands here, with `claiming`, `recording` and `pools`; `fork_server` and `child` run in the
processes of these names, and `wire` is what travels between them.
"""

import os

if not hasattr(os, "fork"):
    raise ImportError(
        "taskworker needs os.fork(), which this system does not have. Run workers on Linux, macOS or another Unix; "
        "tasks can be enqueued from anywhere."
    )
