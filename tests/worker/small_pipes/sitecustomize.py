"""Give the processes of a test pipes of one page, as a system does that has run out of memory for them."""

import fcntl
import os

make = os.pipe


def pipe() -> tuple[int, int]:
    reader, writer = make()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
    return reader, writer


os.pipe = pipe
