"""How long the server takes for a request, and its database: told in the header Server-Timing."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.db import connections
from django.http import HttpRequest, HttpResponse

__all__ = ["server_timing"]

logger = logging.getLogger("crowd.statements")
# Milliseconds. Slower statements are recorded.
SLOW = 100.0


class Statements:
    """Counts the statements of a request, and their time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.number = 0
        self.milliseconds = 0.0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            taken = (time.perf_counter() - started) * 1_000
            self.number += 1
            self.milliseconds += taken
            if taken > SLOW:
                logger.info("%.0f ms %s\n%s\n%s\n", taken, self.path, sql[:4_000], str(params)[:1_000])


def server_timing(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Tell, with each answer, milliseconds in all and of the database, and the number of its statements."""

    def respond(request: HttpRequest) -> HttpResponse:
        started, statements = time.perf_counter(), Statements(request.get_full_path())
        with ExitStack() as stack:
            for connection in connections.all():
                stack.enter_context(connection.execute_wrapper(statements))
            response = get_response(request)
        taken = (time.perf_counter() - started) * 1_000
        response.headers["Server-Timing"] = (
            f"total;dur={taken:.1f}, db;dur={statements.milliseconds:.1f}, queries;dur={statements.number}"
        )
        return response

    return respond
