from django.db import migrations, models

from tests.migrated import LATEST


class Migration(migrations.Migration):
    dependencies = [("django_tasks_q", LATEST)]
    operations = [migrations.AddField("result", "colour", models.CharField(max_length=10, default="red"))]
