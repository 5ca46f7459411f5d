"""The classes of the Tasks framework, as a type checker sees them; nothing imports this module when it runs.

They are Django's if the checker knows those, from django-stubs or from Django itself, else those of `dep14`: a class
with an unknown base would be compatible with everything. For mypy the first import of a name counts, for others the
last; a star import from an unknown module brings no names at all.
"""

# ruff: noqa: F403, I001, TID251
MYPY = False
if MYPY:
    from django.tasks.base import *
    from .dep14 import *  # type: ignore[assignment, unused-ignore]
else:
    from .dep14 import *
    from django.tasks.base import *
