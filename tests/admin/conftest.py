from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

# One permission of each kind, by its code name.
PERMISSIONS = ("view_job", "view_result", "view_worker", "view_queue")


@pytest.fixture(autouse=True)
def one_backend(settings: Any) -> None:
    """The default backend alone, as most projects have it."""
    settings.TASKS = {"default": settings.TASKS["default"]}


@pytest.fixture(autouse=True)
def long_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is confirmed is done in one request, however slow the machine is."""
    monkeypatch.setattr("django_tasks_q.admin.actions.steps.STEP", 60.0)


LogIn = Callable[..., Client]


@pytest.fixture
def log_in(db: None) -> LogIn:
    """Log in somebody with these permissions of this package and no others: log_in("view_job", "cancel_job")."""

    def log_in(*codenames: str, **options: Any) -> Client:
        user = User.objects.create_user("alice", is_staff=True)
        permissions = Permission.objects.filter(content_type__app_label="django_tasks_q", codename__in=codenames)
        assert len(permissions) == len(codenames)
        user.user_permissions.set(permissions)
        client = Client(**options)
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def viewer(log_in: LogIn) -> Client:
    """Somebody who may look at everything and do nothing."""
    return log_in(*PERMISSIONS)
