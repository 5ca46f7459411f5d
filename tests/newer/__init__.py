"""The migrations of a later version of this package: one more, which adds columns that may be left out."""

from django_tasks_q import migrations

# After those that there are.
__path__ = [*__path__, *migrations.__path__]
