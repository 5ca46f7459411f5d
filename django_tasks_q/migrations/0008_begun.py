from django.db import migrations, models

import django_tasks_q.models.indexes

from ._steps import OneByOne


class Migration(OneByOne):
    dependencies = [
        ("django_tasks_q", "0007_logs"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="begun_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="begun at"),
        ),
        migrations.AddField(
            model_name="job",
            name="displaced",
            field=models.PositiveSmallIntegerField(editable=False, null=True, verbose_name="displaced"),
        ),
        migrations.AddField(
            model_name="worker",
            name="trouble",
            field=models.CharField(
                blank=True, default="", db_default="", editable=False, max_length=500, verbose_name="trouble"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=django_tasks_q.models.indexes.StatusIndex(
                fields=["worker_id", "id"], name="tasksq_job_running", status="RUNNING"
            ),
        ),
    ]
