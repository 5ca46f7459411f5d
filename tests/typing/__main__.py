"""python -m tests.typing: whether mypy and pyright refuse what they should, and nothing of what the docs show."""

import sys
from pathlib import Path

from ..docs.blocks import blocks
from .checking import ROOT, Checker

HERE = Path(__file__).parent
CALLS, FRAMEWORK = HERE / "calls.py", HERE / "framework.py"
DOCS = ROOT / "docs"
# In the same place each time: mypy's cache names the files of the time before.
APPS = ROOT / "build" / "typing"


def main() -> int:
    everything = [
        CALLS,
        FRAMEWORK,
        *write_app("words", DOCS / "tutorial" / "first-steps.md"),
        *write_app("shop", DOCS / "how-to" / "type-checking.md"),
    ]
    checkers = [
        Checker.mypy(everything, with_stubs=True),
        Checker.mypy([CALLS], with_stubs=False),
        Checker.pyright(everything),
    ]
    problems = [f"{checker.name}: {problem}" for checker in checkers for problem in checker.problems()]
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    sys.stdout.write(f"Types: {len(problems)} problems, {len(everything)} files, {len(checkers)} checkers.\n")
    return 1 if problems else 0


def write_app(app: str, page: Path) -> list[Path]:
    """Write the modules of an app that a page shows, in their last versions; return their paths."""
    (APPS / app).mkdir(parents=True, exist_ok=True)
    (APPS / app / "__init__.py").touch()
    modules = {block.file: block.code for block in blocks(page) if (block.file or "").startswith(f"{app}/")}
    assert modules, f"{page} shows no module of {app}."
    for name, code in modules.items():
        (APPS / str(name)).write_text(code)
    return [APPS / str(name) for name in modules]


if __name__ == "__main__":
    sys.exit(main())
