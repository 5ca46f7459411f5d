import logging
import time

from django_tasks_q import Context, cron, periodic, task

logger = logging.getLogger(__name__)


@task(queue_name="mail")
def send_receipt(order: int, *, address: str) -> dict[str, object]:
    time.sleep(0.02)
    return {"order": order, "sent_to": address}


@periodic(cron("30 2 * * *", tz="Europe/Rome"), name="nightly report", args=["yesterday"])
@task
def nightly_report(day: str) -> dict[str, object]:
    time.sleep(0.3)
    return {"day": day, "orders": 1284, "net": 18234.5}


@task(takes_context=True)
def import_catalogue(context: Context, url: str) -> None:
    """Run for as long as the pictures are taken."""
    context.progress(1_240, 3_100, "products")
    time.sleep(300)


@task(queue_name="images", max_attempts=3, backoff=0.2)
def make_thumbnail(path: str, size: list[int]) -> None:
    logger.info("Opening %s (%s bytes)", path, 48_213)
    identify(path)


def identify(path: str) -> None:
    time.sleep(0.05)
    if not path.endswith((".jpg", ".png")):
        logger.warning("There is no decoder for %s", path.rsplit(".")[-1])
        raise OSError(f"cannot identify image file {path!r}")


@task(queue_name="payments", max_attempts=2, backoff=0.2)
def charge(order: int, amount: str) -> None:
    time.sleep(0.25)
    if order % 2:
        raise TimeoutError(f"payments.example.com did not answer within 5 s (order {order})")
