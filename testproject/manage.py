#!/usr/bin/env python
import os
import sys


def main() -> None:
    """Run a command of the test project."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            f"{sys.executable} has no Django. Activate the virtual environment, "
            "or install the project into it: pip install ."
        ) from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
