"""Let tox see the Pythons that pyenv has installed, whether they are on PATH or not."""

import os
from pathlib import Path

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))

# Last, so that nothing that is on PATH already is changed by it.
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, sorted(PYENV.glob("versions/*/bin")))])
