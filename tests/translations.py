"""What is missing from the catalogues: python -m tests.translations [--update]

Without --update it only says what is missing, left over or guessed, and ends with 1 where anything is. With it, the
catalogues get the new texts, to be translated by hand, and are compiled. It needs GNU gettext.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["HAS_GETTEXT", "catalogues", "compiled", "complaints"]

PACKAGE = Path(__file__).parent.parent / "django_tasks_q"
HAS_GETTEXT = shutil.which("xgettext") is not None
# What is wrong with an entry, by the option that picks it.
WRONG = {"--untranslated": "not translated", "--only-fuzzy": "only guessed", "--only-obsolete": "not used any more"}


def catalogues(package: Path = PACKAGE) -> list[Path]:
    return sorted(package.glob("locale/*/LC_MESSAGES/*.po"))


def complaints() -> list[str]:
    """Return what would have to be done to the catalogues to say all that the code does, and no more."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / PACKAGE.name
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        collect(copy)
        return [complaint for catalogue in catalogues(copy) for complaint in _wrong(catalogue)]


def collect(package: Path) -> None:
    """Bring the texts of the code into the catalogues of a package."""
    languages = sorted({catalogue.parents[1].name for catalogue in catalogues(package)})
    options = ["--no-location", "--no-wrap", "-v0", *(f"--locale={language}" for language in languages)]
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(
        [sys.executable, "-m", "django", "makemessages", *options], cwd=package, env=environment, check=True
    )


def compiled(catalogue: Path) -> bytes:
    """Return a catalogue in the form that is read, checked. Raise CalledProcessError if its syntax is wrong."""
    command = ["msgfmt", "--check", "--no-hash", "-o", "-", str(catalogue)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _wrong(catalogue: Path) -> list[str]:
    found = []
    for option, words in WRONG.items():
        command = ["msgattrib", option, "--no-wrap", str(catalogue)]
        shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        texts = [line for line in shown.splitlines() if "msgid " in line and not line.endswith('msgid ""')]
        found += [f"{catalogue.parents[1].name}, {words}: {text}" for text in texts]
    return found


def update() -> None:
    """Bring the texts of the code into the catalogues, and compile those."""
    collect(PACKAGE)
    for catalogue in catalogues():
        catalogue.with_suffix(".mo").write_bytes(compiled(catalogue))


if __name__ == "__main__":
    if not HAS_GETTEXT:
        raise SystemExit("There is no xgettext: apt-get install gettext.")
    if "--update" in sys.argv[1:]:
        update()
    found = complaints()
    raise SystemExit("\n".join(found) if found else 0)
