import os
import secrets
from dataclasses import dataclass

from django.contrib.auth import get_user_model

__all__ = ["Login", "make_admin"]

NAME, VARIABLE = "admin", "DJANGO_SUPERUSER_PASSWORD"


@dataclass(frozen=True, slots=True)
class Login:
    """A user, and what to tell about the password: one that came from the environment is not shown."""

    name: str
    password: str


def make_admin() -> Login:
    """Make sure of a superuser, with the password of the environment or a new random one."""
    given = os.environ.get(VARIABLE)
    password = given or secrets.token_urlsafe(12)
    user, _ = get_user_model().objects.get_or_create(username=NAME)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return Login(NAME, f"that of {VARIABLE}" if given else password)
