"""Run a package of Django's tests on the database of the session, and write down how each of them ended.

python -m tests.dep14.runner FOLDER PACKAGE REPORT
"""

import json
import sys
import unittest
from pathlib import Path
from typing import Any

import django
from django.test.runner import DiscoverRunner

__all__ = ["Recorder", "Runner"]

ended: dict[str, str] = {}


class Recorder(unittest.TextTestResult):
    """Keeps what became of each test: "passed", or why not."""

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        ended.setdefault(test.id(), "passed")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        ended[test.id()] = self.failures[-1][1]

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        ended[test.id()] = self.errors[-1][1]

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            ended[test.id()] = f"{subtest}: {err[0].__name__}: {err[1]}"

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        ended[test.id()] = f"skipped: {reason}"


class Runner(DiscoverRunner):
    """Django's own, which writes down what Recorder keeps."""

    def get_resultclass(self) -> type[unittest.TextTestResult]:
        return Recorder


def main(folder: str, package: str, report: str) -> None:
    sys.path.insert(0, folder)
    django.setup()
    Runner(interactive=False).run_tests([package])
    Path(report).write_text(json.dumps({name.removeprefix(f"{package}."): how for name, how in ended.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
