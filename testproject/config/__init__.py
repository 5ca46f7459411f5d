"""The test project's settings, URLs and entry points."""

import sys
from importlib.util import find_spec
from pathlib import Path

# Importing the settings passes here first, so that a clone runs with nothing installed but Django.
if find_spec("django_tasks_q") is None:
    sys.path.append(str(Path(__file__).resolve().parents[2]))
