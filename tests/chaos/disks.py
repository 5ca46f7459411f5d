"""A small disk in memory, which can be full."""

import os
import subprocess
from pathlib import Path

from .errors import ChaosError

__all__ = ["Disk"]

# Of which the system takes what is in use.
SIZE = 6 << 30
LEFT = 64 * 1_024


class Disk:
    """A file system of its own at a folder. Raise ChaosError if this machine does not let us mount one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._mount(f"size={SIZE},mode=0777")

    def fill(self) -> None:
        """Leave no room for more than a few pages."""
        found = os.statvfs(self.folder)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        # Smaller than what is in use it cannot be; what is written in the meantime has its place there.
        self._mount(f"remount,size={used + LEFT}")

    def free(self) -> None:
        self._mount(f"remount,size={SIZE}")

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "chaos", str(self.folder)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise ChaosError(f"{' '.join(command)}: {said.strip()}") from error
