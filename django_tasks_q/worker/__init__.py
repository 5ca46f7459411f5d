"""What runs: the supervisor, its pool of children, and the executor in each of them."""

import os

if not hasattr(os, "fork"):
    raise ImportError(
        "taskworker needs os.fork(), which this system does not have. Run workers on Linux, macOS or another Unix; "
        "tasks can be enqueued from anywhere."
    )
