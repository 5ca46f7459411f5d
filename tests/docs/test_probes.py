"""The probes of docs/how-to/production.md, run by a shell on a heartbeat file."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from .blocks import ROOT

PAGE = (ROOT / "docs" / "how-to" / "production.md").read_text()
# As they are between the quotes of JSON, and outside of them.
PROBES = sorted({found.replace('\\"', '"') for found in re.findall(r'test -n \\?"\$\(find [^)]*\)\\?"', PAGE)})


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_takes_a_young_file_and_neither_an_old_one_nor_none(probe: str, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    assert "/tmp/heartbeat" in probe
    script = probe.replace("/tmp/heartbeat", str(file))
    minutes = int(probe.partition("-mmin -")[2].partition(")")[0])

    def code() -> int:
        return subprocess.run(["sh", "-c", script], check=False, capture_output=True).returncode

    assert code() != 0
    file.touch()
    assert code() == 0
    moment = time.time() - minutes * 60 - 1
    os.utime(file, (moment, moment))
    assert code() != 0


def test_the_page_has_one_for_each_use() -> None:
    assert len(PROBES) == 2
