"""What `import django_tasks_q` loads: every process of a project pays for it."""

import subprocess
import sys

IMPORT = """
import sys
from django.conf import settings
settings.configure(TIME_ZONE="UTC")
import django_tasks_q
django_tasks_q.every(minutes=1)
loaded = [name for name in ("croniter", "astral") if name in sys.modules]
django_tasks_q.cron("0 3 * * *")
print(loaded, "croniter" in sys.modules)
"""


def test_croniter_is_loaded_for_the_first_expression() -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORT], check=False, capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "[] True", ran.stderr
