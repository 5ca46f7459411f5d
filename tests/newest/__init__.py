"""The migrations of a version that is too new: one more, which adds a column that must be filled."""

from django_tasks_q import migrations

# After those that there are.
__path__ = [*__path__, *migrations.__path__]
