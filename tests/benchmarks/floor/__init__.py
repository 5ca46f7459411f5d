"""The bare limits of a server and a machine: what no queue on them can beat.

Measured with the driver and plain pipes alone, on the rows, columns and indexes that django_tasks_q's migrations make
and that its enqueue() fills: when those change, the floor follows.
"""

from .figures import Figure
from .run import NAMES, measure

__all__ = ["NAMES", "Figure", "measure"]
