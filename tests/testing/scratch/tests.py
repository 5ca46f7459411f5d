"""The tests of a project, as anybody would write them."""

from datetime import UTC, datetime, timedelta
from unittest import mock, skipUnless

from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings
from shop.models import Receipt
from shop.tasks import ask_for_review, build_report, clean_up, count_receipts, send_receipt

from django_tasks_q.testing import EnqueuedMixin, make_context, run_jobs, travel, worker

IMMEDIATE = {"default": {"BACKEND": "django_tasks_q.testing.ImmediateBackend"}}
RECORDING = {"default": {"BACKEND": "django_tasks_q.testing.RecordingBackend"}}


class ViewTests(EnqueuedMixin, TestCase):
    def test_an_order_is_confirmed(self):
        self.client.post("/buy/", {"order": "A1"})
        self.assertEnqueued(send_receipt, "A1")
        self.assertNotEnqueued(send_receipt, "A2")
        self.assertNotEnqueued(ask_for_review)

    def test_what_waits_for_the_commit(self):
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post("/buy/", {"order": "A1"})
        self.assertEnqueued(ask_for_review, "A1")

    @mock.patch("shop.mail.send")
    def test_the_whole_way(self, send):
        posted = self.client.post("/buy/", {"order": "A1"}).json()
        self.run_jobs(raise_errors=True)
        send.assert_called_once_with("A1")
        self.assertTrue(self.client.get(f"/status/{posted['id']}/").json()["finished"])
        self.assertEnqueued(ask_for_review, order="A1", run_after=timedelta(days=7))

    @mock.patch("shop.mail.send", side_effect=[OSError, None])
    def test_a_retry(self, send):
        result = send_receipt.enqueue("A1")
        self.run_jobs()
        self.assertFalse(Receipt.objects.exists())
        self.travel(timedelta(minutes=1, seconds=1))
        self.run_jobs()
        result.refresh()
        self.assertEqual(result.attempts, 2)
        self.assertEqual(Receipt.objects.get().order, "A1")

    def test_a_delay(self):
        ask_for_review.using(run_after=timedelta(days=7)).enqueue("A1")
        self.assertEqual(run_jobs(), [])
        with travel(timedelta(days=7)):
            self.assertEqual(run_jobs()[0].return_value, "How was A1?")

    def test_a_schedule(self):
        Receipt.objects.create(order="A1")
        night = datetime(2031, 1, 1, 3, tzinfo=UTC)
        with travel(night):
            self.fire_schedules(since=timedelta(minutes=1))
            self.assertEnqueued(clean_up)
            self.run_jobs(raise_errors=True)
        self.assertFalse(Receipt.objects.exists())

    async def test_an_async_task(self):
        await Receipt.objects.acreate(order="A1")
        await count_receipts.aenqueue()
        [result] = await self.arun_jobs()
        self.assertEqual(result.return_value, 1)

    def test_a_cancel(self):
        result = build_report.enqueue(9)
        with mock.patch("shop.mail.render", side_effect=lambda page: result.cancel()):
            [result] = self.run_jobs()
        self.assertEqual((result.return_value, result.progress.done), ("stopped at 1", 1))


class TaskTests(SimpleTestCase):
    def test_a_task_with_a_context(self):
        self.assertEqual(build_report.call(make_context(), 2), "done")


@override_settings(TASKS=IMMEDIATE)
class ImmediateTests(TestCase):
    def test_a_view_that_waits(self):
        result = build_report.enqueue(2)
        self.assertEqual(result.wait().return_value, "done")


@override_settings(TASKS=RECORDING)
class RecordingTests(EnqueuedMixin, SimpleTestCase):
    def test_without_a_database(self):
        send_receipt.enqueue("A1")
        self.assertEnqueued(send_receipt, "A1")


@skipUnless(connection.vendor == "sqlite", "It is about a database in memory.")
class MemoryTests(TransactionTestCase):
    def test_a_worker_is_refused(self):
        with self.assertRaisesMessage(ImproperlyConfigured, '"TEST"] = {"NAME": "test.sqlite3"}'), worker():
            self.fail("A database in memory cannot be shared.")
