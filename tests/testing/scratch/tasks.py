import time
from datetime import timedelta

from django_tasks_q import cron, periodic, task

from . import mail
from .models import Receipt


@task(max_attempts=3, backoff=60, retry_on=OSError)
def send_receipt(order):
    mail.send(order)
    Receipt.objects.create(order=order)
    ask_for_review.using(run_after=timedelta(days=7)).enqueue(order)


@task
def ask_for_review(order):
    return f"How was {order}?"


@task
async def count_receipts():
    return await Receipt.objects.acount()


@task(takes_context=True)
def build_report(context, pages):
    for page in range(pages):
        if context.is_cancelled:
            return f"stopped at {page}"
        mail.render(page)
        context.progress(page + 1, pages)
    return "done"


@periodic(cron("0 3 * * *", tz="UTC"))
@task(atomic=True)
def clean_up():
    return Receipt.objects.all().delete()[0]


@task(timeout=1)
def hang():
    time.sleep(600)
