"""Tasks that know which request they belong to, by tests.middleware."""

import logging

from django_tasks_q import task

from .middleware import request_id

# With a handler of its own, which writes the request to each line, whatever the project's LOGGING says.
logger = logging.getLogger("tests.requests")


class WithRequest(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"[{request_id.get()}] {record.getMessage()}"


handler = logging.StreamHandler()
handler.setFormatter(WithRequest())
logger.addHandler(handler)
logger.setLevel(logging.INFO)


@task
def see_request() -> str | None:
    return request_id.get()


@task
async def see_request_async() -> str | None:
    return request_id.get()


@task(max_attempts=2, backoff=0)
def fail_with_request() -> None:
    logger.info("failing")
    raise ValueError(request_id.get())


@task
def pass_request_on() -> None:
    see_request.enqueue()
