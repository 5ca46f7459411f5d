from django.db import migrations, models

from django_tasks_q.migrations._steps import OneByOne
from tests.migrated import LATEST


class Migration(OneByOne):
    dependencies = [("django_tasks_q", LATEST)]
    operations = [
        migrations.AddField("job", "colour", models.CharField(max_length=10, null=True)),
        migrations.AddField("job", "weight", models.IntegerField(db_default=1)),
        migrations.AddField("result", "weight", models.IntegerField(db_default=1)),
        migrations.AddField("worker", "colour", models.CharField(max_length=10, null=True)),
        migrations.AddField("queue", "weight", models.IntegerField(db_default=1)),
    ]
