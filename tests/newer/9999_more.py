from django.db import migrations, models

from tests.migrated import LATEST


class Migration(migrations.Migration):
    # Each table by itself: with two of them locked, it and a running worker could wait for each other.
    atomic = False
    dependencies = [("django_tasks_q", LATEST)]
    operations = [
        migrations.AddField("job", "colour", models.CharField(max_length=10, null=True)),
        migrations.AddField("job", "weight", models.IntegerField(db_default=1)),
        migrations.AddField("result", "weight", models.IntegerField(db_default=1)),
        migrations.AddField("worker", "colour", models.CharField(max_length=10, null=True)),
        migrations.AddField("queue", "weight", models.IntegerField(db_default=1)),
    ]
